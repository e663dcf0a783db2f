import { sameValue } from '../../base/same-value.ts';
import type { Informer } from '../../api/client/informer.ts';
import type { InformerFactory } from '../../api/client/informer-factory.ts';
import { resources } from '../../api/client/resources.ts';
import { objectKey } from '../../api/kinds/meta.ts';
import { type Node, ZONE_LABEL } from '../../api/kinds/node.ts';
import { type Pod, readyConditionOf } from '../../api/kinds/pod.ts';
import type { Service } from '../../api/kinds/service.ts';
import { mapSelects } from '../label-selector.ts';
import { NODE_INDEX, nodeIndex } from '../node-index.ts';

const SELECTOR_INDEX = 'selector-pair';
const LABEL_INDEX = 'label-pair';

/**
 * Which pods each service selects, kept in step with the events: a pod's change costs the services that select
 * it, a service's change the pods that have one label of its selector, whatever the size of the cluster.
 */
export class ServiceMembers implements Disposable {
  readonly pods: Informer<Pod>;
  readonly services: Informer<Service>;
  readonly nodes: Informer<Node>;
  readonly #changed: (serviceKey: string) => void;
  readonly #members = new Map<string, Set<string>>();
  readonly #subscriptions: Disposable[];

  /** @param changed Called with `namespace/name` of each service whose endpoints may differ now. */
  constructor(informers: InformerFactory, changed: (serviceKey: string) => void) {
    this.#changed = changed;
    this.pods = informers.informer<Pod>(resources.pods, {
      [NODE_INDEX]: nodeIndex,
      [LABEL_INDEX]: labelPairs,
    });
    this.services = informers.informer<Service>(resources.services, { [SELECTOR_INDEX]: selectorPair });
    this.nodes = informers.informer<Node>(resources.nodes);
    this.#subscriptions = [
      this.services.subscribe((event) => {
        if (event.type === 'deleted') this.#forget(event.object);
        else this.#service(event.object, event.type === 'updated' ? event.old : undefined);
      }),
      this.pods.subscribe((event) => {
        const old = event.type === 'updated' ? event.old : undefined;
        if (event.type === 'deleted') this.#pod(undefined, event.object);
        else if (!old || !sameValue(endpointFacts(old), endpointFacts(event.object))) {
          this.#pod(event.object, old);
        }
      }),
      this.nodes.subscribe((event) => {
        const zone = event.object.metadata.labels?.[ZONE_LABEL];
        if (event.type === 'updated' && event.old.metadata.labels?.[ZONE_LABEL] === zone) return;
        this.#node(event.object.metadata.name);
      }),
    ];
  }

  /** The service's pods that exist now. */
  of(serviceKey: string, namespace: string): Pod[] {
    const pods: Pod[] = [];
    for (const name of this.#members.get(serviceKey) ?? []) {
      const pod = this.pods.get(namespace, name);
      if (pod) pods.push(pod);
    }
    return pods;
  }

  [Symbol.dispose](): void {
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]();
    this.#members.clear();
  }

  #forget(service: Service): void {
    const key = objectKey(service);
    this.#members.delete(key);
    this.#changed(key);
  }

  #service(service: Service, old: Service | undefined): void {
    const key = objectKey(service);
    if (!old || !sameValue(old.spec.selector, service.spec.selector)) {
      const selector = service.spec.selector ?? {};
      const members = new Set<string>();
      for (const pair of selectorPair(service)) {
        for (const pod of this.pods.byIndex(LABEL_INDEX, pair)) {
          if (mapSelects(selector, pod.metadata.labels)) members.add(pod.metadata.name);
        }
      }
      this.#members.set(key, members);
    }
    this.#changed(key);
  }

  #pod(pod: Pod | undefined, old: Pod | undefined): void {
    const name = (pod ?? old)?.metadata.name ?? '';
    const now = new Set(pod ? this.#servicesOf(pod) : []);
    for (const key of old ? this.#servicesOf(old) : []) {
      if (now.has(key)) continue;
      this.#members.get(key)?.delete(name);
      this.#changed(key);
    }
    for (const key of now) {
      this.#members.get(key)?.add(name);
      this.#changed(key);
    }
  }

  #node(nodeName: string): void {
    for (const pod of this.pods.byIndex(NODE_INDEX, nodeName)) {
      for (const key of this.#servicesOf(pod)) this.#changed(key);
    }
  }

  #servicesOf(pod: Pod): string[] {
    const keys: string[] = [];
    const { namespace = '', labels = {} } = pod.metadata;
    for (const [label, value] of Object.entries(labels)) {
      for (const service of this.services.byIndex(SELECTOR_INDEX, `${namespace} ${label}=${value}`)) {
        if (mapSelects(service.spec.selector ?? {}, labels)) keys.push(objectKey(service));
      }
    }
    return keys;
  }
}

/** One pair of the selector finds the candidates; the whole selector decides. */
function selectorPair(service: Service): readonly string[] {
  const first = Object.entries(service.spec.selector ?? {})[0];
  return first ? [`${service.metadata.namespace ?? ''} ${first[0]}=${first[1]}`] : [];
}

function labelPairs({ metadata: { namespace = '', labels = {} } }: Pod): readonly string[] {
  return Object.entries(labels).map(([label, value]) => `${namespace} ${label}=${value}`);
}

/** What of a pod its endpoints depend on. */
function endpointFacts(pod: Pod): unknown {
  const { labels, uid, deletionTimestamp } = pod.metadata;
  const { nodeName, hostname, subdomain } = pod.spec;
  const { podIP, podIPs, phase } = pod.status ?? {};
  const ready = readyConditionOf(pod)?.status;
  const finished = phase === 'Succeeded' || phase === 'Failed';
  return [labels, uid, !deletionTimestamp, nodeName, hostname, subdomain, podIP, podIPs, finished, ready];
}
