import type { Clock } from '../../base/clock.ts';
import type { Pod, PodStatus } from '../../api/kinds/pod.ts';
import { STATUS_COALESCE_MS } from '../limits.ts';
import { OWN_CONDITIONS, podStatus, type PodView } from './pod-status.ts';

interface ReportDeps {
  readonly clock: Clock;
  view(): PodView;
  /** A status that differs from the last one; at most one in STATUS_COALESCE_MS. */
  onStatus(status: PodStatus): void;
}

/** Tells what became of a pod, once for many changes. */
export class PodReport {
  readonly #deps: ReportDeps;
  #last: PodStatus | undefined;
  #timer: Disposable | undefined;
  #ended = false;

  constructor(deps: ReportDeps) {
    this.#deps = deps;
  }

  /** Something kubectl would show changed. */
  changed(): void {
    if (this.#timer || this.#ended) return;
    this.#timer = this.#deps.clock.setTimer(STATUS_COALESCE_MS, () => {
      this.#timer = undefined;
      this.#tell();
    });
  }

  /** What is under way is told, nothing after it. */
  end(): void {
    this.#ended = true;
  }

  #tell(): void {
    const view = this.#deps.view();
    const known = { ...view.pod.status, conditions: this.#knownConditions(view.pod) };
    const status = podStatus(view, known);
    if (JSON.stringify(status) === JSON.stringify(this.#last)) return;
    this.#last = status;
    this.#deps.onStatus(status);
  }

  /** Our own conditions as last reported, those of others as the API has them. */
  #knownConditions(pod: Pod): NonNullable<PodStatus['conditions']> {
    const fromApi = pod.status?.conditions ?? [];
    const own = (this.#last?.conditions ?? fromApi).filter(({ type }) => OWN_CONDITIONS.has(type));
    return [...own, ...fromApi.filter(({ type }) => !OWN_CONDITIONS.has(type))];
  }
}
