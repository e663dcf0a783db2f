import { Counter, type Registry } from '../base/metrics.ts';

/** Why a thread was lost: it ended by itself, or came round no more and was ended. */
export type LossReason = 'ended' | 'stuck';

/** Numbers that a thread counts in memory of its own; they are read when somebody asks, and never fall. */
export interface ThreadCounts {
  /** Datagrams that the kernel refused to send. */
  readonly sendErrors?: () => number;
  /** What was dropped because a ring was full. */
  readonly shed?: () => number;
  /** What found no room in the thread's arena, and was given memory of its own. */
  readonly arenaFull?: () => number;
  /** TLS handshakes that came to nothing. */
  readonly handshakeFailures?: () => number;
}

const COUNTED: Readonly<Record<keyof ThreadCounts, readonly [name: string, help: string]>> = {
  sendErrors: ['send_errors_total', 'Datagrams that the kernel refused to send'],
  shed: ['shed_total', 'Requests dropped because the ring to the slow path was full, oldest first'],
  handshakeFailures: [
    'handshake_failures_total',
    'TLS handshakes that failed, took too long, had to make room, or whose client was not let in',
  ],
  arenaFull: ['arena_full_total', 'Requests that found no room in the arena of their thread'],
};

/** `weft_engine_*`: what the threads of the native engine go through, by the name they have in the log. One a registry. */
export class EngineMetrics {
  static readonly #known = new WeakMap<Registry, EngineMetrics>();
  readonly #losses: Counter<'worker' | 'reason'>;
  readonly #restarts: Counter<'worker'>;
  readonly #acceptFailures: Counter<'worker' | 'errno'>;
  readonly #followed = new Map<
    ThreadCounts,
    { readonly worker: string; readonly seen: Map<string, number> }
  >();
  readonly #counters: readonly (readonly [keyof ThreadCounts, Counter<'worker'>])[];

  private constructor(registry: Registry) {
    const registers = [registry];
    this.#losses = new Counter({
      name: 'weft_engine_worker_losses_total',
      help: 'Threads that ended by themselves (ended), or came round no more and were ended (stuck)',
      labelNames: ['worker', 'reason'],
      registers,
    });
    this.#restarts = new Counter({
      name: 'weft_engine_worker_restarts_total',
      help: 'Threads started in place of lost ones',
      labelNames: ['worker'],
      registers,
    });
    this.#acceptFailures = new Counter({
      name: 'weft_engine_accept_failures_total',
      help: 'Times that accepting clients began to fail; it is tried again until it works',
      labelNames: ['worker', 'errno'],
      registers,
    });
    const names = Object.entries(COUNTED) as [keyof ThreadCounts, readonly [string, string]][];
    this.#counters = names.map(([what, [name, help]]) => {
      const collect = (): void => this.#collect();
      const options = {
        name: `weft_engine_${name}`,
        help,
        labelNames: ['worker'] as const,
        registers,
        collect,
      };
      return [what, new Counter(options)];
    });
  }

  /** Those of a registry, registered once. */
  static on(registry: Registry): EngineMetrics {
    let metrics = EngineMetrics.#known.get(registry);
    if (!metrics) EngineMetrics.#known.set(registry, (metrics = new EngineMetrics(registry)));
    return metrics;
  }

  lost(worker: string, reason: LossReason): void {
    this.#losses.inc({ worker, reason });
  }

  restarted(worker: string): void {
    this.#restarts.inc({ worker });
  }

  acceptFailed(worker: string, errno: string): void {
    this.#acceptFailures.inc({ worker, errno });
  }

  /** Publishes what a thread counts, until disposed. */
  follow(worker: string, counts: ThreadCounts): Disposable {
    this.#followed.set(counts, { worker, seen: new Map() });
    return {
      [Symbol.dispose]: () => {
        this.#collect();
        this.#followed.delete(counts);
      },
    };
  }

  /** Adds what came since it was last asked. */
  #collect(): void {
    for (const [counts, { worker, seen }] of this.#followed)
      for (const [what, counter] of this.#counters) {
        const now = counts[what]?.();
        if (now === undefined) continue;
        counter.inc({ worker }, now - (seen.get(what) ?? 0));
        seen.set(what, now);
      }
  }
}
