import { backoffDelayMs } from '../../base/backoff.ts';
import { type Clock, sleep } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import { type ApiClient, ApiError } from '../../api/client/client.ts';
import { resources } from '../../api/client/resources.ts';
import type { PodStatus } from '../../api/kinds/pod.ts';
import { STATUS_RETRY_MAX_MS, STATUS_RETRY_MIN_MS } from '../limits.ts';

/** The API object a pod's status is written to: the pod itself, or the mirror of a static one. */
export interface StatusTarget {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

interface ReporterDeps {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
}

interface Pending {
  status: PodStatus | undefined;
  deletion: boolean;
  running: Promise<void> | undefined;
}

/** Writes statuses in the background, the newest one only, one write a pod at a time, until they are taken. */
export class StatusReporter implements AsyncDisposable {
  readonly #deps: ReporterDeps;
  readonly #abort = new AbortController();
  readonly #pending = new Map<string, Pending>();

  constructor(deps: ReporterDeps) {
    this.#deps = deps;
  }

  report(target: StatusTarget, status: PodStatus): void {
    const entry = this.#entry(target);
    entry.status = status;
    this.#start(target, entry);
  }

  /** Removes the object for good, after the statuses that are under way. Resolves when it is gone. */
  async remove(target: StatusTarget): Promise<void> {
    const entry = this.#entry(target);
    entry.deletion = true;
    this.#start(target, entry);
    await entry.running;
  }

  /** Waits until everything reported so far is written, or the signal aborts. */
  async flush(signal: AbortSignal): Promise<void> {
    const aborted = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    const all = Promise.all(Array.from(this.#pending.values()).flatMap(({ running }) => running ?? []));
    await Promise.race([all, aborted]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error('status reporter disposed'));
    await Promise.all(Array.from(this.#pending.values()).flatMap(({ running }) => running ?? []));
  }

  #entry(target: StatusTarget): Pending {
    let entry = this.#pending.get(target.uid);
    if (!entry) {
      entry = { status: undefined, deletion: false, running: undefined };
      this.#pending.set(target.uid, entry);
    }
    return entry;
  }

  #start(target: StatusTarget, entry: Pending): void {
    entry.running ??= this.#work(target, entry).finally(() => {
      entry.running = undefined;
      if (!entry.status && !entry.deletion) this.#pending.delete(target.uid);
    });
  }

  async #work(target: StatusTarget, entry: Pending): Promise<void> {
    for (let failures = 0; !this.#abort.signal.aborted;) {
      const status = entry.status;
      if (!status && !entry.deletion) return;
      try {
        if (status) await this.#write(target, status);
        else await this.#delete(target);
        if (!status) entry.deletion = false;
        else if (entry.status === status) entry.status = undefined;
        failures = 0;
      } catch (error) {
        if (this.#abort.signal.aborted) return;
        if (isGone(error)) {
          entry.status = undefined;
          entry.deletion = false;
          return;
        }
        await this.#retryLater(target, failures++, error);
      }
    }
  }

  async #write(target: StatusTarget, status: PodStatus): Promise<void> {
    const patch = { metadata: { uid: target.uid }, status };
    await this.#deps.client.patch(resources.pods, target.name, target.namespace, 'strategic', patch, {
      subresource: 'status',
      fieldManager: 'kubelet',
      signal: this.#abort.signal,
    });
  }

  async #delete(target: StatusTarget): Promise<void> {
    await this.#deps.client.delete(resources.pods, target.name, target.namespace, {
      gracePeriodSeconds: 0,
      preconditions: { uid: target.uid },
      signal: this.#abort.signal,
    });
  }

  async #retryLater(target: StatusTarget, failures: number, error: unknown): Promise<void> {
    const { clock, log, random } = this.#deps;
    const delayMs = backoffDelayMs(failures, {
      minMs: STATUS_RETRY_MIN_MS,
      maxMs: STATUS_RETRY_MAX_MS,
      jitter: 0.2,
      random,
    });
    const fields = { pod: `${target.namespace}/${target.name}`, reason: messageOf(error), retryMs: delayMs };
    if (failures === 0) log.debug('pod status not written', fields);
    else log.warn('pod status still not written', fields);
    await sleep(clock, delayMs, this.#abort.signal).catch(() => {}); // disposed: the loop ends
  }
}

/** The pod, or this pod of that name, is no more: there is nothing to write to. */
function isGone(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false;
  return error.status === 404 || (error.status === 409 && /uid|UID/.test(error.message));
}
