import type { Resource } from '../api/client/client.ts';
import { feedSink } from '../api/client/feed-sink.ts';
import type { InformerFactory } from '../api/client/informer-factory.ts';
import { resources } from '../api/client/resources.ts';
import type { ObjectSink } from '../api/kinds/object-sink.ts';

/** What the endpoints tracker reads. Pods only where DNS asks for them: they are the many. */
const MODEL: readonly Resource[] = [
  resources.namespaces,
  resources.nodes,
  resources.services,
  resources.endpointSlices,
];
/** What the ingress controller reads beside the model. Secrets come one by one, as they are referred to. */
const INGRESS: readonly Resource[] = [resources.ingresses, resources.ingressClasses, resources.configMaps];

/** What a node serves by: worth keeping for a start without the API. No Secrets: they do not belong on disks. */
export const SERVED: readonly Resource[] = [...MODEL, resources.serviceCIDRs, ...INGRESS];

/** Feeds the kinds of the network model from the informers; resolves when the first lists are in. */
export async function feedModel(
  informers: InformerFactory,
  tracker: ObjectSink,
  options: { readonly pods: boolean; readonly signal?: AbortSignal },
): Promise<Disposable> {
  const kinds = options.pods ? [...MODEL, resources.pods] : MODEL;
  return await feed(informers, kinds, tracker, options.signal);
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
