import { Fault } from '../base/fault.ts';
import type { Exec } from './exec.ts';

/**
 * Runs ipset. Faults: IPSET_FAILED (the message holds the failing line and its text) and those of exec
 * (EXEC_NOT_FOUND when it is not installed).
 */
export class Ipset {
  readonly #exec: Exec;

  constructor(deps: { exec: Exec }) {
    this.#exec = deps.exec;
  }

  /** Runs the lines (`add SET ENTRY`, `del SET ENTRY`, `create ...`) in order; what is so already is no error. */
  async restore(lines: readonly string[], signal?: AbortSignal): Promise<void> {
    if (lines.length === 0) return;
    const options = { input: `${lines.join('\n')}\n`, ...(signal && { signal }) };
    const result = await this.#exec('ipset', ['restore', '-exist'], options);
    if (result.exitCode === 0) return;
    const message = result.stderr.trim();
    const text = lines[Number(/in line (\d+)/i.exec(message)?.[1] ?? 0) - 1];
    throw new Fault('IPSET_FAILED', text ? `ipset: line "${text}": ${message}` : `ipset: ${message}`);
  }

  /** Names of all sets of this network namespace. */
  async names(signal?: AbortSignal): Promise<readonly string[]> {
    const result = await this.#exec('ipset', ['list', '-n'], signal ? { signal } : {});
    if (result.exitCode !== 0) throw new Fault('IPSET_FAILED', `ipset list: ${result.stderr.trim()}`);
    return result.stdout.split('\n').filter((name) => name !== '');
  }
}
