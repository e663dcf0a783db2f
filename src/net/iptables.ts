import { Fault } from '../base/fault.ts';
import type { Exec, ExecResult } from './exec.ts';
import type { Family } from './ip.ts';
import { type IptablesTable, renderRule, type Rule } from './iptables-rule.ts';

/** `auto` takes the host's `iptables`, whichever kernel interface that is. */
export type IptablesVariant = 'auto' | 'nft' | 'legacy';

/** What one restore does to one table. Chains are created, or emptied when they exist; rules are then appended. */
export interface TableChanges {
  readonly table: IptablesTable;
  /** Chains that get exactly these rules. */
  readonly chains: ReadonlyMap<string, readonly Rule[]>;
  /** Chains to remove; must be unreferenced when the restore ends. */
  readonly removedChains?: readonly string[];
}

/** Wait for the lock that all iptables programs share. */
export const XTABLES_LOCK_WAIT_SECONDS = 5;

/** The input of iptables-restore, each table a transaction of its own. */
export function renderRestore(tables: readonly TableChanges[]): string {
  const lines: string[] = [];
  for (const { table, chains, removedChains = [] } of tables) {
    lines.push(`*${table}`);
    for (const name of chains.keys()) lines.push(`:${name} - [0:0]`);
    for (const name of removedChains) lines.push(`:${name} - [0:0]`);
    for (const [name, rules] of chains) {
      for (const rule of rules) lines.push(`-A ${name} ${renderRule(rule)}`);
    }
    for (const name of removedChains) lines.push(`-X ${name}`);
    lines.push('COMMIT');
  }
  return `${lines.join('\n')}\n`;
}

/**
 * Runs iptables, iptables-save and iptables-restore of one family and variant.
 * Faults: IPTABLES_RESTORE_FAILED (the message holds the failing line and its text), IPTABLES_FAILED,
 * and those of exec (EXEC_NOT_FOUND when the tools are not installed).
 */
export class Iptables {
  readonly #exec: Exec;
  readonly #prefix: string;

  constructor(deps: { exec: Exec }, options: { family: Family; variant: IptablesVariant }) {
    this.#exec = deps.exec;
    const variant = options.variant === 'auto' ? '' : `-${options.variant}`;
    this.#prefix = (options.family === 'IPv6' ? 'ip6tables' : 'iptables') + variant;
  }

  /** Applies the changes, leaving chains that are not named alone. */
  async restore(tables: readonly TableChanges[], signal?: AbortSignal): Promise<void> {
    await this.restoreText(renderRestore(tables), signal);
  }

  async restoreText(input: string, signal?: AbortSignal): Promise<void> {
    const args = ['-w', String(XTABLES_LOCK_WAIT_SECONDS), '--noflush', '--counters'];
    const result = await this.#exec(`${this.#prefix}-restore`, args, { input, ...(signal && { signal }) });
    if (result.exitCode !== 0) throw new Fault('IPTABLES_RESTORE_FAILED', explainRestore(input, result));
  }

  /** Text of iptables-save for one table. */
  async save(table: IptablesTable, signal?: AbortSignal): Promise<string> {
    return (await this.#run(`${this.#prefix}-save`, ['-t', table], signal)).stdout;
  }

  /** The same with each rule's packets and bytes, `[packets:bytes] -A ...`. */
  async saveCounters(table: IptablesTable, signal?: AbortSignal): Promise<string> {
    return (await this.#run(`${this.#prefix}-save`, ['-c', '-t', table], signal)).stdout;
  }

  async chainExists(table: IptablesTable, chain: string, signal?: AbortSignal): Promise<boolean> {
    const result = await this.#command(['-t', table, '-S', chain], signal);
    return result.exitCode === 0;
  }

  async hasRule(table: IptablesTable, chain: string, rule: Rule, signal?: AbortSignal): Promise<boolean> {
    const words = splitWords(renderRule(rule));
    return (await this.#command(['-t', table, '-C', chain, ...words], signal)).exitCode === 0;
  }

  #command(args: readonly string[], signal: AbortSignal | undefined): Promise<ExecResult> {
    return this.#exec(
      this.#prefix,
      ['-w', String(XTABLES_LOCK_WAIT_SECONDS), ...args],
      signal ? { signal } : {},
    );
  }

  async #run(program: string, args: readonly string[], signal: AbortSignal | undefined): Promise<ExecResult> {
    const result = await this.#exec(program, args, signal ? { signal } : {});
    if (result.exitCode !== 0)
      throw new Fault('IPTABLES_FAILED', `${program} ${args.join(' ')}: ${result.stderr.trim()}`);
    return result;
  }
}

/** Splits a rendered rule into arguments; the comment is the only quoted word. */
function splitWords(line: string): string[] {
  return Array.from(line.matchAll(/"([^"]*)"|(\S+)/g), (match) => match[1] ?? match[2] ?? '');
}

/**
 * iptables-restore says `line: N`: names that line's text, which is what a person needs. The nft variant checks
 * some things only at COMMIT and reports that line; the quoted name in its message leads back to the culprit.
 */
function explainRestore(input: string, result: ExecResult): string {
  const message = result.stderr.trim();
  const lines = input.split('\n');
  let index = Number(/line:? (\d+)/i.exec(message)?.[1] ?? 0) - 1;
  const name = /['`]([^'`]+)'/.exec(message)?.[1];
  if (lines[index] === 'COMMIT' && name)
    index = lines.findIndex((line) => line.startsWith('-') && line.includes(name));
  const text = lines[index];
  return text ? `iptables-restore: line ${index + 1} "${text}": ${message}` : `iptables-restore: ${message}`;
}
