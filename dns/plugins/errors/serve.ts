import type { Counter } from '../../../src/base/metrics.ts';
import { sharedCounter } from '../../plugin-metrics.ts';
import { messageOf } from '../../../src/base/fault.ts';
import type { UserRegex } from '../../user-regex.ts';
import type { Plugin, PluginDeps } from '../../plugin.ts';
import { failure, type Handler, type Outcome, type Query } from '../../query.ts';
import { EDE } from '../../wire/numbers.ts';

/** Failures whose text matches are counted and told once a period. */
export interface Consolidation {
  readonly periodMs: number;
  readonly regex: UserRegex;
  readonly level: string;
  /** The first of a period is told at once; alone it is not told again. */
  readonly showFirst: boolean;
}

/** Logs every failure once, with the question; turns what a plugin threw into SERVFAIL. */
export class ErrorLog implements Plugin {
  readonly name = 'errors';
  readonly transparent = true;
  readonly #deps: PluginDeps;
  readonly #rules: readonly Consolidation[];
  readonly #panics: Counter;
  readonly #pending = new Map<Consolidation, { count: number; timer: Disposable }>();

  constructor(deps: PluginDeps, rules: readonly Consolidation[]) {
    this.#deps = deps;
    this.#rules = rules;
    this.#panics = sharedCounter(deps, {
      name: 'coredns_panics_total',
      help: 'A metrics that counts the number of panics.',
      labelNames: [],
    });
  }

  serve(query: Query, next: Handler): Outcome | Promise<Outcome> {
    try {
      const outcome = next(query);
      if (!(outcome instanceof Promise)) return this.#look(query, outcome);
      return outcome.then(
        (settled) => this.#look(query, settled),
        (error: unknown) => this.#caught(query, error),
      );
    } catch (error) {
      return this.#caught(query, error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const [rule, { timer }] of this.#pending) {
      timer[Symbol.dispose]();
      this.#tell(rule);
    }
  }

  #look(query: Query, outcome: Outcome): Outcome {
    if (outcome.kind === 'failure' && outcome.rcode === 'SERVFAIL')
      this.#report(query, outcome.reason, outcome.plugin);
    return outcome;
  }

  #caught(query: Query, error: unknown): Outcome {
    this.#panics.inc();
    this.#report(query, messageOf(error), undefined, error);
    return failure('SERVFAIL', messageOf(error), { code: EDE.OTHER, text: 'internal error' });
  }

  #report(query: Query, reason: string, plugin: string | undefined, error?: unknown): void {
    const rule = this.#rules.find(({ regex }) => regex.test(reason));
    const counted = rule && this.#count(rule);
    if (rule && (counted !== 1 || !rule.showFirst)) return;
    const level = levelOf(rule?.level ?? 'error');
    const { name, type } = query.question;
    const fields = { name, type, client: query.client.address, reason };
    this.#deps.log[level]('question failed', {
      ...fields,
      ...(plugin !== undefined && { by: plugin }),
      ...(error !== undefined && { error }),
    });
  }

  /** How many there were in this period, this one included. */
  #count(rule: Consolidation): number {
    const pending = this.#pending.get(rule);
    if (pending) return ++pending.count;
    const timer = this.#deps.clock.setTimer(rule.periodMs, () => this.#tell(rule));
    this.#pending.set(rule, { count: 1, timer });
    return 1;
  }

  #tell(rule: Consolidation): void {
    const count = this.#pending.get(rule)?.count ?? 0;
    this.#pending.delete(rule);
    if (rule.showFirst && count === 1) return;
    this.#deps.log[levelOf(rule.level)]('questions failed', {
      count,
      matching: rule.regex.source,
      periodMs: rule.periodMs,
    });
  }
}

function levelOf(level: string): 'error' | 'warn' | 'info' | 'debug' {
  return level === 'warning' ? 'warn' : (level as 'error' | 'info' | 'debug');
}
