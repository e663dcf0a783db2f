import type { NodeView, NodeViewChanges } from '../../endpoints/node-view.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/log.ts';
import type { Family } from '../../src/net/ip.ts';
import type { Applied } from '../backend.ts';
import { INTACT_CHECK_INTERVAL_MS } from '../limits.ts';

/** What a kernel mode does in its own way; `Written` is its shadow of what the kernel holds, to differ from. */
export interface KernelMode<Written> {
  /** Brings whatever the kernel holds to the view. */
  replace(view: NodeView, signal: AbortSignal): Promise<Written>;
  /** Brings the shadow and the kernel to the view in these keys; false when only `replace` can. */
  update(written: Written, view: NodeView, keys: ReadonlySet<string>, signal: AbortSignal): Promise<boolean>;
  /** Something of what was written that the kernel holds no more, for the log; undefined when all is there. */
  missing(written: Written, view: NodeView, signal: AbortSignal): Promise<string | undefined>;
}

/**
 * How every kernel mode follows the view: a change costs its own size, until somebody else took things away or the
 * kernel refuses it; then all is written anew in the same sync.
 */
export class KernelSync<Written> {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #mode: KernelMode<Written>;
  #written: Written | undefined;
  #checkedMs = 0;
  #retried = false;

  constructor(
    deps: { readonly clock: Clock; readonly log: Logger },
    family: Family,
    mode: KernelMode<Written>,
  ) {
    this.#clock = deps.clock;
    this.#log = deps.log.with({ family });
    this.#mode = mode;
  }

  /** Undefined before the first apply, and while the kernel may hold something else. */
  get written(): Written | undefined {
    return this.#written;
  }

  /** The next apply writes all. */
  forget(): void {
    this.#written = undefined;
  }

  /** Call rules and outcome are those of Backend. */
  async apply(view: NodeView, changes: NodeViewChanges, signal: AbortSignal): Promise<Applied> {
    const startMs = this.#clock.monotonicMs();
    this.#retried = false;
    const full = !(changes.complete && (await this.#update(view, changes.ports, signal)));
    if (full) await this.#replace(view, signal);
    const changedPorts = full ? view.ports.size : changes.ports.size;
    const durationMs = this.#clock.monotonicMs() - startMs;
    return { full, changedPorts, durationMs, refused: [], retried: this.#retried };
  }

  async #replace(view: NodeView, signal: AbortSignal): Promise<void> {
    this.#written = undefined;
    this.#written = await this.#mode.replace(view, signal);
    this.#checkedMs = this.#clock.monotonicMs();
  }

  async #update(view: NodeView, keys: ReadonlySet<string>, signal: AbortSignal): Promise<boolean> {
    const written = this.#written;
    if (written === undefined || !(await this.#isIntact(written, view, keys.size > 0, signal))) return false;
    // until all is through, the shadow is ahead of the kernel: a failure must start anew
    this.#written = undefined;
    try {
      if (!(await this.#mode.update(written, view, keys, signal))) return false;
    } catch (error) {
      if (signal.aborted) throw error;
      this.#retried = true;
      this.#log.warn('the kernel refused a change: writing all anew', { error });
      return false;
    }
    this.#written = written;
    return true;
  }

  /** Looked at in each idle sync, and now and then in busy times. */
  async #isIntact(written: Written, view: NodeView, busy: boolean, signal: AbortSignal): Promise<boolean> {
    const nowMs = this.#clock.monotonicMs();
    if (busy && nowMs - this.#checkedMs < INTACT_CHECK_INTERVAL_MS) return true;
    this.#checkedMs = nowMs;
    const missing = await this.#mode.missing(written, view, signal);
    if (missing === undefined) return true;
    this.#log.warn('somebody else changed what was written: writing all anew', { missing });
    return false;
  }
}
