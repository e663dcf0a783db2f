import { Fault } from '../../../base/fault.ts';
import type { JsonObject } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { metricsKinds } from '../../kinds/metrics.ts';
import { formatTime } from '../../kinds/decode/time.ts';
import type { MeasuredUsage, UsageRate } from '../../kinds/usage-rates.ts';
import { objectOf, objectsOf } from '../admission/objects.ts';
import type { Reply } from '../http/reply.ts';
import type { Kubelets } from '../stream/kubelets.ts';
import { computedReply } from '../verbs/computed.ts';
import type { Core } from '../verbs/context.ts';
import type { VirtualTable } from '../verbs/dispatch.ts';
import type { Call } from '../verbs/write.ts';
import { NodeUsages, type UsageSource } from './node-usages.ts';
import { parseResourceMetrics } from './resource-metrics.ts';

/** metrics.k8s.io: what nodes and pods use now. The group is served from the moment a node has a kubelet. */
export class UsageMetrics implements Disposable {
  readonly handlers: VirtualTable;
  readonly #usages: NodeUsages;
  #served = false;

  constructor(core: Core, kubelets: Kubelets) {
    this.#usages = new NodeUsages(core, () => {
      const sources = usageSources(core, kubelets);
      if (sources.length > 0) this.#serve(core);
      return sources;
    });
    this.handlers = new Map([
      ['metrics.k8s.io/NodeMetrics', (call) => this.#answer(call, nodeMetrics)],
      ['metrics.k8s.io/PodMetrics', (call) => this.#answer(call, podMetrics)],
    ]);
  }

  /** Reads all kubelets now, then each 15 s. */
  async begin(): Promise<void> {
    await this.#usages.begin();
  }

  [Symbol.dispose](): void {
    this.#usages[Symbol.dispose]();
  }

  #serve(core: Core): void {
    if (this.#served) return;
    this.#served = true;
    for (const kind of metricsKinds()) core.registry.add(kind);
  }

  async #answer(call: Call, make: (core: Core, usage: MeasuredUsage) => UnknownObject[]): Promise<Reply> {
    const { core } = call;
    await core.objects.hub.fresh();
    return computedReply(
      call,
      this.#usages.latest().flatMap((one) => make(core, one)),
    );
  }
}

/** What metrics-server asks kubelets for. */
const RESOURCE_METRICS = '/metrics/resource';

function usageSources(core: Core, kubelets: Kubelets): UsageSource[] {
  const names = objectsOf(core, '', 'nodes', '').map(({ metadata }) => metadata.name);
  return names
    .filter((nodeName) => kubelets.has(nodeName))
    .map((nodeName) => ({
      nodeName,
      read: async () => {
        const page = await kubelets.find(nodeName)?.page(RESOURCE_METRICS);
        if (!page) throw new Fault('KUBELET_REFUSED', `the kubelet has no ${RESOURCE_METRICS}`);
        return parseResourceMetrics(nodeName, page.text, core.clock.nowMs());
      },
    }));
}

function nodeMetrics(core: Core, { atMs, nodeName, node }: MeasuredUsage): UnknownObject[] {
  const found = objectOf(core, '', 'nodes', '', nodeName);
  if (!found || !node) return [];
  return [{ ...head('NodeMetrics', found, atMs, node.windowMs), usage: usageOf(node) }];
}

/** Pods the API still has, once each of their measured containers is known. */
function podMetrics(core: Core, { atMs, containers }: MeasuredUsage): UnknownObject[] {
  const pods = Map.groupBy(containers, ({ namespace, pod }) => `${namespace}/${pod}`);
  return [...pods.values()].flatMap((own): UnknownObject[] => {
    const { namespace = '', pod = '' } = own[0] ?? {};
    const found = objectOf(core, '', 'pods', namespace, pod);
    if (!found) return [];
    const windowMs = Math.max(...own.map((one) => one.windowMs));
    return [
      {
        ...head('PodMetrics', found, atMs, windowMs),
        containers: own.map((one) => ({ name: one.container, usage: usageOf(one) })),
      },
    ];
  });
}

function head(kind: string, { metadata }: UnknownObject, atMs: number, windowMs: number): UnknownObject {
  const { name, namespace, labels } = metadata;
  return {
    kind,
    apiVersion: 'metrics.k8s.io/v1beta1',
    metadata: {
      name,
      ...(namespace && { namespace }),
      creationTimestamp: formatTime(atMs),
      ...(labels && { labels }),
    },
    timestamp: formatTime(atMs),
    window: `${(windowMs / 1000).toFixed(3)}s`,
  };
}

/** In metrics-server's notation: nano cores and KiB. */
function usageOf({ cpuCores, workingSetBytes }: UsageRate): JsonObject {
  return { cpu: `${Math.round(cpuCores * 1e9)}n`, memory: `${Math.round(workingSetBytes / 1024)}Ki` };
}
