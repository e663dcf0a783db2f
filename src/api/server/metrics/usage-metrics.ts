import type { JsonObject } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { metricsKinds } from '../../kinds/metrics.ts';
import { formatTime } from '../../kinds/decode/time.ts';
import type { UsageSource } from '../../kinds/usage.ts';
import { objectOf } from '../admission/objects.ts';
import { encodeStored, ParsedObjects, StoredObject } from '../cache/stored-object.ts';
import { jsonReply, type Reply } from '../http/reply.ts';
import { notFound } from '../status.ts';
import type { Core } from '../verbs/context.ts';
import type { SubresourceHandler, VirtualTable } from '../verbs/dispatch.ts';
import { encodeList } from '../verbs/list.ts';
import { parseListOptions } from '../verbs/list-options.ts';
import { encoderFor, encoderOptions, entryReply } from '../verbs/replies.ts';
import { selectionFor } from '../verbs/selection.ts';
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
    return usageReply(call, latest ? make(core, latest.rates) : []);
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

/** A get or list of objects that were made for this request. */
function usageReply({ core, kind, request, info }: Call, objects: readonly UnknownObject[]): Reply {
  const parsed = new ParsedObjects(1);
  const nowMs = (): number => core.clock.nowMs();
  const entries = objects
    .filter(({ metadata }) => !info.namespace || metadata.namespace === info.namespace)
    .map((object) => entryOf(parsed, object));
  if (info.verb === 'get') {
    const entry = entries.find(({ name }) => name === info.name);
    if (!entry) throw notFound(kind, info.name);
    return entryReply(200, encoderOptions(kind, request, nowMs), entry);
  }
  const { labelSelector, fieldSelector } = parseListOptions(request.query);
  const selection = selectionFor(kind, labelSelector, fieldSelector, '');
  const encoder = encoderFor(kind, request, nowMs);
  return {
    status: 200,
    headers: { 'content-type': encoder.contentType },
    ...encodeList(
      encoder.listHead({ resourceVersion: '' }),
      entries.filter((entry) => selection.matches(entry, () => ({}))),
      encoder,
    ),
  };
}

function entryOf(parsed: ParsedObjects, object: UnknownObject): StoredObject {
  const { name, namespace = '' } = object.metadata;
  return new StoredObject(parsed, { key: '', namespace, name, bytes: encodeStored(object), revision: 0 });
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
