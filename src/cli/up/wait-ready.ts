import { resources } from '../../api/client/resources.ts';
import type { KubeObject } from '../../api/kinds/meta.ts';
import type { Pod } from '../../api/kinds/pod.ts';
import { sleep, systemClock } from '../../base/clock.ts';
import type { Up } from '../../node/up.ts';
import type { Progress } from './progress.ts';

interface Workload extends KubeObject {
  readonly spec?: { readonly replicas?: number };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly readyReplicas?: number;
    readonly updatedReplicas?: number;
  };
}

const LOOK_EVERY_MS = 100;
const WORKLOADS = [resources.deployments, resources.statefulSets, resources.replicaSets] as const;

/**
 * Waits until every workload has its replicas ready and DNS, proxy and ingress serve the newest model. Returns
 * what is not ready at the deadline, with the reason a person needs.
 */
export async function waitUntilReady(
  up: Up,
  progress: Progress,
  options: { readonly deadlineMs: number; readonly signal: AbortSignal },
): Promise<readonly string[]> {
  const endMs = systemClock.monotonicMs() + options.deadlineMs;
  for (;;) {
    const waiting = await unready(up);
    if (waiting.length === 0) break;
    if (systemClock.monotonicMs() > endMs || options.signal.aborted) return waiting;
    progress.show(`waiting for ${waiting[0]}${waiting.length > 1 ? ` and ${waiting.length - 1} more` : ''}`);
    await sleep(systemClock, LOOK_EVERY_MS);
  }
  await up.proxier.applied(up.tracker.snapshot.version);
  await up.ingress.settled();
  return [];
}

async function unready(up: Up): Promise<string[]> {
  const { client } = up.control;
  const lists = await Promise.all(WORKLOADS.map((resource) => client.list<Workload>(resource)));
  const { items: pods } = await client.list<Pod>(resources.pods);
  const waiting: string[] = [];
  for (const workload of lists.flatMap((list) => list.items)) {
    const wanted = workload.spec?.replicas ?? 1;
    const ready = workload.status?.readyReplicas ?? 0;
    const seen = (workload.status?.observedGeneration ?? 0) >= (workload.metadata.generation ?? 0);
    if (seen && ready >= wanted) continue;
    const { namespace, name } = workload.metadata;
    waiting.push(`${namespace}/${name} (${ready}/${wanted} ready)${reasonOf(pods, namespace, name)}`);
  }
  return waiting;
}

/** Why the first pod of the workload that does not run does not run. */
function reasonOf(pods: readonly Pod[], namespace: string | undefined, workload: string): string {
  const own = pods.filter(
    (pod) => pod.metadata.namespace === namespace && pod.metadata.name.startsWith(`${workload}-`),
  );
  for (const pod of own) {
    for (const status of pod.status?.containerStatuses ?? []) {
      const waiting = status.state?.waiting;
      if (waiting?.reason)
        return `: ${pod.metadata.name}: ${waiting.reason}${waiting.message ? `: ${waiting.message}` : ''}`;
    }
  }
  return '';
}
