import { Fault } from '../base/fault.ts';
import type { Exec } from './exec.ts';

/** A transaction may hold hundreds of thousands of elements; loading them takes seconds. */
export const NFT_TIMEOUT_MS = 120_000;

/**
 * Runs nft. Faults: NFT_FAILED (the message holds the failing line and its text), NFT_NOT_FOUND (no such table,
 * set or chain), and those of exec.
 */
export class Nft {
  readonly #exec: Exec;

  constructor(deps: { exec: Exec }) {
    this.#exec = deps.exec;
  }

  /** Rejects when nft is not there or this process may not use it. */
  async probe(): Promise<void> {
    const result = await this.#exec('nft', ['list', 'tables'], {});
    if (result.exitCode !== 0) throw new Fault('NFT_FAILED', `nft list tables: ${result.stderr.trim()}`);
  }

  /** Runs the commands as one transaction: all or nothing. */
  async transaction(commands: string, signal?: AbortSignal): Promise<void> {
    const options = { input: commands, timeoutMs: NFT_TIMEOUT_MS, ...(signal && { signal }) };
    const result = await this.#exec('nft', ['-f', '-'], options);
    if (result.exitCode !== 0) throw fault(explain(commands, result.stderr.trim()), result.stderr);
  }

  /** The elements of one set or map as nft's JSON gives them. */
  async listElements(
    kind: 'set' | 'map',
    family: 'ip' | 'ip6',
    table: string,
    name: string,
    signal?: AbortSignal,
  ): Promise<readonly unknown[]> {
    const args = ['-j', 'list', kind, family, table, name];
    const result = await this.#exec('nft', args, { timeoutMs: NFT_TIMEOUT_MS, ...(signal && { signal }) });
    if (result.exitCode !== 0) throw fault(`nft ${args.join(' ')}: ${result.stderr.trim()}`);
    const parsed = JSON.parse(result.stdout) as {
      nftables: readonly Record<string, { elem?: readonly unknown[] }>[];
    };
    return parsed.nftables.find((entry) => entry[kind])?.[kind]?.elem ?? [];
  }

  /** True when the table existed and was removed. */
  async deleteTable(family: 'ip' | 'ip6', table: string, signal?: AbortSignal): Promise<boolean> {
    const result = await this.#exec('nft', ['delete', 'table', family, table], signal ? { signal } : {});
    if (result.exitCode === 0) return true;
    if (/No such file/.test(result.stderr)) return false;
    throw fault(`nft delete table ${family} ${table}: ${result.stderr.trim()}`);
  }
}

function fault(message: string, stderr = message): Fault {
  return new Fault(/No such file or directory/.test(stderr) ? 'NFT_NOT_FOUND' : 'NFT_FAILED', message);
}

/** nft says `/dev/stdin:LINE:COLUMN-COLUMN: Error: ...`: names that line's text. */
function explain(commands: string, message: string): string {
  const found = /(?:stdin|-):(\d+):/.exec(message);
  const text = found && commands.split('\n')[Number(found[1]) - 1];
  return text
    ? `nft: line ${found[1]} "${text.trim().slice(0, 200)}": ${message.slice(0, 500)}`
    : `nft: ${message}`;
}
