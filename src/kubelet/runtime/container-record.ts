import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LOG_FILES_MAX } from '../limits.ts';
import { logParts } from '../logs/log-file.ts';
import type { InputMode } from './container-input.ts';

/** Which run of which container: the name under which everything about it is kept. */
export interface ContainerKey {
  readonly podUid: string;
  readonly container: string;
  /** 0 for the first run, then the restart count. */
  readonly attempt: number;
}

/** What must be known to find a container's process again after our own death. */
export interface ProcessRecord {
  readonly pid: number;
  readonly startTicks: number;
  readonly bootId: string;
  readonly startedAtMs: number;
  readonly containerId: string;
  /** Absent = none. */
  readonly input?: InputMode;
}

/** The folders of a kubelet. All names come from validated objects (uid, DNS labels), never from free text. */
export class PodFolders {
  readonly dataDir: string;

  constructor(dataDir: string) {
    this.dataDir = dataDir;
  }

  get pods(): string {
    return join(this.dataDir, 'pods');
  }

  pod(uid: string): string {
    return join(this.pods, safeName(uid));
  }

  container(uid: string, container: string): string {
    return join(this.pod(uid), 'containers', safeName(container));
  }

  attempt(key: ContainerKey): string {
    return join(this.container(key.podUid, key.container), String(key.attempt));
  }

  /** The log of one run; rotated parts have .1, .2 ... appended, older ones higher. */
  log(key: ContainerKey): string {
    return join(this.pod(key.podUid), 'logs', safeName(key.container), `${key.attempt}.log`);
  }

  /** Removes what one run left, with its log. */
  forget(key: ContainerKey): void {
    const log = this.log(key);
    for (const path of [this.attempt(key), ...logParts(log, LOG_FILES_MAX)]) {
      rmSync(path, { recursive: true, force: true });
    }
  }
}

/** Refuses what could leave the folder; such names do not pass validation, so meeting one is our bug. */
export function safeName(name: string): string {
  if (name === '' || name === '.' || name === '..' || /[/\0]/.test(name)) {
    throw new Error(`not a file name: ${JSON.stringify(name)}`);
  }
  return name;
}

/** Replaces the file whole: a reader sees the old or the new text. */
export function writeJson(path: string, value: unknown): void {
  const partial = `${path}.partial`;
  writeFileSync(partial, JSON.stringify(value));
  renameSync(partial, path);
}

/** Undefined when the file is missing or torn: then nothing is known. */
export function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as unknown;
  } catch {
    return undefined;
  }
}

/** Makes an empty folder, dropping what stood there. */
export function freshFolder(path: string): void {
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path, { recursive: true });
}

export const RECORD_FILE = 'process.json';
export const EXIT_FILE = 'exit';

/** The code the supervisor wrote: undefined while the container runs, or when the supervisor was killed. */
export function readExitCode(attemptFolder: string): number | undefined {
  try {
    const text = readFileSync(join(attemptFolder, EXIT_FILE), 'latin1');
    return /^\d{1,3}\n$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}
