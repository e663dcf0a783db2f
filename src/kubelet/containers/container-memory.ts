import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ContainerState } from '../../api/kinds/pod.ts';
import { readJson, writeJson } from '../runtime/container-record.ts';

/** What a container's next keeper must know; written at each change of state. */
export interface ContainerMemory {
  readonly attempt: number;
  readonly restartLevel: number;
  readonly state: ContainerState;
  readonly lastState: ContainerState | undefined;
  readonly ready: boolean;
  readonly started: boolean;
}

const FILE = 'state.json';

export function recall(containerFolder: string): ContainerMemory | undefined {
  return readJson(join(containerFolder, FILE)) as ContainerMemory | undefined;
}

export function remember(containerFolder: string, memory: ContainerMemory): void {
  mkdirSync(containerFolder, { recursive: true });
  writeJson(join(containerFolder, FILE), memory);
}
