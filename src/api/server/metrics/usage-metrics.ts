import type { JsonObject } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { metricsKinds } from '../../kinds/metrics.ts';
import { formatTime } from '../../kinds/decode/time.ts';
import type { UsageSource } from '../../kinds/usage.ts';
import { objectOf } from '../admission/objects.ts';
import { jsonReply, type Reply } from '../http/reply.ts';
import { computedReply } from '../verbs/computed.ts';
import type { Core } from '../verbs/context.ts';
import type { SubresourceHandler, VirtualTable } from '../verbs/dispatch.ts';
import type { Call } from '../verbs/write.ts';
import { statsSummary } from './stats-summary.ts';
import { type MeasuredUsage, type UsageRate, UsageRates } from './usage-rates.ts';

/** metrics.k8s.io: what nodes and pods use now. The group is served from the moment a kubelet is attached. */
export class UsageMetrics implements Disposable {
  readonly handlers: VirtualTable;
  #rates: UsageRates | undefined;

  constructor() {
    this.handlers = new Map([
      ['metrics.k8s.io/NodeMetrics', (call) => this.#answer(call, nodeMetrics)],
      ['metrics.k8s.io/PodMetrics', (call) => this.#answer(call, podMetrics)],
    ]);
  }

  attach(core: Core, read: UsageSource): void {
    this[Symbol.dispose]();
    this.#rates = new UsageRates(core, read);
    for (const kind of metricsKinds()) core.registry.add(kind);
  }

  [Symbol.dispose](): void {
    this.#rates?.[Symbol.dispose]();
  }

  async #answer(call: Call, make: (core: Core, usage: MeasuredUsage) => UnknownObject[]): Promise<Reply> {
    const { core } = call;
    await core.objects.hub.fresh();
    const latest = this.#rates?.latest();
    return computedReply(call, latest ? make(core, latest.rates) : []);
  }

  /** nodes/NAME/proxy: /stats/summary of the attached kubelet, which has no port, is answered here. */
  nodeProxy(others: SubresourceHandler): SubresourceHandler {
    return async (call) => {
      const { core, info } = call;
      const latest = this.#rates?.latest();
      const asksSummary = info.rest.join('/') === 'stats/summary';
      if (!asksSummary || latest?.reading.nodeName !== info.name) return await others(call);
      const uidOf = (namespace: string, name: string): string =>
        objectOf(core, '', 'pods', namespace, name)?.metadata.uid ?? '';
      return jsonReply(200, statsSummary(latest.reading, latest.rates, uidOf));
    };
  }
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
