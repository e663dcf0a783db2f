import type { Clock } from '../../../base/clock.ts';
import { messageOf } from '../../../base/fault.ts';
import type { Logger } from '../../../base/log.ts';
import type { NodeUsage } from '../../kinds/usage.ts';
import { type MeasuredUsage, measured } from '../../kinds/usage-rates.ts';
import { USAGE_INTERVAL_MS, USAGE_READS_MAX } from '../limits.ts';

/** A kubelet that tells what its node uses. */
export interface UsageSource {
  readonly nodeName: string;
  read(): Promise<NodeUsage>;
}

interface Readings {
  readonly previous: NodeUsage | undefined;
  readonly current: NodeUsage;
}

/** Reads every node each 15 s and keeps two readings of each: CPU use is the difference of two counters. */
export class NodeUsages implements Disposable {
  readonly #deps: { readonly clock: Clock; readonly log: Logger };
  readonly #sources: () => readonly UsageSource[];
  #nodes: ReadonlyMap<string, Readings> = new Map();
  #unread: ReadonlySet<string> = new Set();
  #timer: Disposable | undefined;
  #reading: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(deps: { readonly clock: Clock; readonly log: Logger }, sources: () => readonly UsageSource[]) {
    this.#deps = deps;
    this.#sources = sources;
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#timer?.[Symbol.dispose]();
  }

  /** Of the nodes whose kubelet answered last time. */
  latest(): readonly MeasuredUsage[] {
    return Array.from(this.#nodes.values(), ({ current, previous }) => measured(current, previous));
  }

  /** Reads now, and from then on; after what is being read already. */
  begin(): Promise<void> {
    this.#timer?.[Symbol.dispose]();
    this.#reading = this.#reading.then(async () => {
      await this.#readAll();
      if (this.#closed) return;
      this.#timer?.[Symbol.dispose]();
      this.#timer = this.#deps.clock.setTimer(USAGE_INTERVAL_MS, () => void this.begin());
    });
    return this.#reading;
  }

  async #readAll(): Promise<void> {
    const waiting = [...this.#sources()];
    const before = this.#nodes;
    const nodes = new Map<string, Readings>();
    const failed = new Map<string, string>();
    const next = async (): Promise<void> => {
      for (let source = waiting.pop(); source && !this.#closed; source = waiting.pop()) {
        const { nodeName } = source;
        try {
          const current = await source.read();
          nodes.set(nodeName, { previous: before.get(nodeName)?.current, current });
        } catch (error) {
          failed.set(nodeName, messageOf(error));
        }
      }
    };
    await Promise.all(Array.from({ length: USAGE_READS_MAX }, next));
    this.#nodes = nodes;
    for (const [node, reason] of failed)
      if (!this.#unread.has(node)) this.#deps.log.warn('usage not read', { node, reason });
    this.#unread = new Set(failed.keys());
  }
}
