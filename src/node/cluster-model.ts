import type { Resource } from '../api/client/client.ts';
import { feedSink } from '../api/client/feed-sink.ts';
import type { InformerFactory } from '../api/client/informer-factory.ts';
import { resources } from '../api/client/resources.ts';
import type { ObjectSink } from '../api/kinds/object-sink.ts';

/** What the endpoints tracker reads; kube-proxy's role in a cluster allows no more. */
const MODEL: readonly Resource[] = [resources.nodes, resources.services, resources.endpointSlices];
/** What the ingress controller reads beside the model. Secrets come one by one, as they are referred to. */
const INGRESS: readonly Resource[] = [resources.ingresses, resources.ingressClasses, resources.configMaps];

/** What a node serves by: worth keeping for a start without the API. No Secrets: they do not belong on disks. */
export const SERVED: readonly Resource[] = [
  ...MODEL,
  resources.namespaces,
  resources.serviceCIDRs,
  ...INGRESS,
];

/** What DNS alone asks for. */
interface NameKinds {
  /** To tell a name without an address from one in a namespace that is not there. */
  readonly namespaces: boolean;
  /** They are the many. */
  readonly pods: boolean;
}

/** Feeds the kinds of the network model from the informers; resolves when the first lists are in. */
export async function feedModel(
  informers: InformerFactory,
  tracker: ObjectSink,
  { namespaces, pods }: NameKinds,
  signal?: AbortSignal,
): Promise<Disposable> {
  const names = [...(namespaces ? [resources.namespaces] : []), ...(pods ? [resources.pods] : [])];
  return await feed(informers, [...MODEL, ...names], tracker, signal);
}

/** Feeds Ingress objects and what they refer to, but for Secrets. */
export async function feedIngress(
  informers: InformerFactory,
  controller: ObjectSink,
  signal?: AbortSignal,
): Promise<Disposable> {
  return await feed(informers, INGRESS, controller, signal);
}

async function feed(
  informers: InformerFactory,
  kinds: readonly Resource[],
  sink: ObjectSink,
  signal?: AbortSignal,
): Promise<Disposable> {
  const stack = new DisposableStack();
  const opened = kinds.map((resource) => informers.informer(resource));
  for (const informer of opened) stack.use(feedSink(informer, sink));
  await Promise.all(opened.map((informer) => informer.synced(signal)));
  return stack;
}
