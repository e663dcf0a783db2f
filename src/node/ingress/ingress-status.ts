import type { AnnotationReport } from '../../../ingress/configuration.ts';
import { type ApiClient, ApiError } from '../../api/client/client.ts';
import type { EventRecorder } from '../../api/client/event-recorder.ts';
import { done, openReconciler, type Reconciler, type ReconcilerDeps } from '../../api/client/reconcile.ts';
import { resources } from '../../api/client/resources.ts';
import type { Ingress, IngressLoadBalancerIngress } from '../../api/kinds/ingress.ts';
import { secondTime } from '../../api/kinds/lease.ts';
import { type Condition, objectKey } from '../../api/kinds/meta.ts';

type Addresses = readonly IngressLoadBalancerIngress[];

/** The condition that says whether every annotation counts. API servers that keep no conditions on Ingresses drop it. */
const CONDITION = 'AnnotationsHonoured';
const MESSAGE_CHARS_MAX = 1_024;

interface Wanted {
  readonly ingress: Ingress;
  readonly addresses?: Addresses | undefined;
  readonly condition?: Condition | undefined;
}

/**
 * Writes the status of Ingresses: addresses, and what became of the annotations. Remembers what each should say, so
 * that a new leader can catch up; writes only while it leads, and again with backoff when the API refuses.
 */
export class IngressStatusWriter implements AsyncDisposable {
  readonly #deps: ReconcilerDeps & { readonly client: ApiClient };
  readonly #wanted = new Map<string, Wanted>();
  readonly #reconciler: Reconciler;
  #leading: boolean;

  constructor(deps: ReconcilerDeps & { readonly client: ApiClient }, options: { readonly leading: boolean }) {
    this.#deps = deps;
    this.#leading = options.leading;
    this.#reconciler = openReconciler(deps, {
      name: 'ingress-status',
      workers: 2,
      reconcile: async (key, signal) => {
        await this.#write(key, signal);
        return done;
      },
    });
  }

  /** What the addresses of this Ingress have to be from now on. */
  want(ingress: Ingress, addresses: Addresses): void {
    this.#put(ingress, { addresses });
  }

  /** What became of its annotations and rules. */
  report(ingress: Ingress, report: AnnotationReport): void {
    const condition = conditionOf(ingress, report, this.#deps.clock.nowMs());
    const present = ingress.status?.conditions?.find(({ type }) => type === CONDITION);
    const same = present?.status === condition.status && present.message === condition.message;
    // nothing to say where there is nothing to read
    if (same || (!present && report.verdicts.length === 0 && report.problems.length === 0)) return;
    this.#put(ingress, { condition });
  }

  /** Runs while this process is the one that writes. */
  async lead(signal: AbortSignal): Promise<void> {
    this.#leading = true;
    for (const key of this.#wanted.keys()) this.#reconciler.add(key);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    this.#leading = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reconciler[Symbol.asyncDispose]();
  }

  #put(ingress: Ingress, change: Omit<Wanted, 'ingress'>): void {
    const key = objectKey(ingress);
    this.#wanted.set(key, { ...this.#wanted.get(key), ingress, ...change });
    if (this.#leading) this.#reconciler.add(key);
  }

  async #write(key: string, signal: AbortSignal): Promise<void> {
    const wanted = this.#wanted.get(key);
    if (!wanted || !this.#leading) return;
    const { name, namespace } = wanted.ingress.metadata;
    const others = wanted.ingress.status?.conditions?.filter(({ type }) => type !== CONDITION) ?? [];
    const status = {
      ...(wanted.addresses && { loadBalancer: { ingress: wanted.addresses } }),
      ...(wanted.condition && { conditions: [...others, wanted.condition] }),
    };
    const options = { subresource: 'status', signal } as const;
    try {
      await this.#deps.client.patch(resources.ingresses, name, namespace, 'merge', { status }, options);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
    }
    // a newer wish may have come meanwhile
    if (this.#wanted.get(key) === wanted) this.#wanted.delete(key);
  }
}

/** Tells what became of an Ingress: its condition, and an Event for each refusal, once as long as it stays. */
export function ingressReporter(
  writer: IngressStatusWriter,
  events: EventRecorder,
): (ingress: Ingress, report: AnnotationReport) => void {
  /** What was said of each Ingress that something was refused to; our own status write brings it here again. */
  const said = new Map<string, string>();
  return (ingress, report) => {
    writer.report(ingress, report);
    const refused = report.verdicts.filter(({ verdict }) => verdict === 'refused');
    const key = objectKey(ingress);
    const text = JSON.stringify([ingress.metadata.uid, refused, report.problems]);
    if (said.get(key) === text) return;
    if (refused.length + report.problems.length > 0) said.set(key, text);
    else said.delete(key);
    for (const { annotation, detail } of refused)
      events.record(ingress, 'Warning', 'AnnotationRefused', `${annotation}: ${detail}`);
    for (const problem of report.problems) events.record(ingress, 'Warning', 'NotServed', problem);
  };
}

function conditionOf(ingress: Ingress, report: AnnotationReport, nowMs: number): Condition {
  const refused = report.verdicts.filter(({ verdict }) => verdict === 'refused');
  const differs = report.verdicts.filter(({ verdict }) => verdict === 'differs');
  const lines = [
    ...refused.map(({ annotation, detail }) => `${annotation} is refused: ${detail}`),
    ...report.problems,
    ...differs.map(({ annotation, detail }) => `${annotation} differs: ${detail}`),
  ];
  const bad = refused.length > 0 || report.problems.length > 0;
  return {
    type: CONDITION,
    status: bad ? 'False' : 'True',
    reason: refused.length > 0 ? 'Refused' : bad ? 'NotServed' : differs.length > 0 ? 'Differs' : 'Honoured',
    message: lines.join('; ').slice(0, MESSAGE_CHARS_MAX),
    lastTransitionTime: secondTime(nowMs),
    ...(ingress.metadata.generation !== undefined && { observedGeneration: ingress.metadata.generation }),
  };
}
