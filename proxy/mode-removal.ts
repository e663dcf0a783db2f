import { hasCode, messageOf } from '../src/base/fault.ts';
import type { Family } from '../src/net/ip.ts';
import type { ProxyMode } from './backend.ts';
import { type BackendDeps, type BackendOptions, MODE_NAMES, openBackend } from './backends.ts';

export interface ModeRemovalOptions extends Pick<BackendOptions, 'kernel'> {
  readonly families: readonly Family[];
  /** The mode that serves; undefined: all go. */
  readonly except?: ProxyMode;
}

/**
 * Removes what the modes have in the kernel, whichever process wrote it, kube-proxy's rules too. Each mode is tried;
 * returns what could not be removed, as `mode family: reason`. A host without a mode's program has nothing of it.
 */
export async function removeModes(
  deps: BackendDeps,
  { families, except, kernel }: ModeRemovalOptions,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const faults: string[] = [];
  for (const mode of MODE_NAMES.filter((each) => each !== except)) {
    for (const family of families) {
      try {
        // nothing is relayed: no thread is needed
        const options = { family, engine: 'portable', ...(kernel && { kernel }) } as const;
        await using backend = await openBackend(mode, deps, options);
        await backend.cleanup(signal);
      } catch (error) {
        if (!hasCode(error, 'EXEC_NOT_FOUND')) faults.push(`${mode} ${family}: ${messageOf(error)}`);
      }
    }
  }
  return faults;
}
