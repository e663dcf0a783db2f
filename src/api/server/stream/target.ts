import { Fault, hasCode, messageOf } from '../../../base/fault.ts';
import { objectsAt, stringAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { ContainerRef, PodStreams } from '../../kinds/pod-streams.ts';
import { badRequest, internalError, notFound, StatusError } from '../status.ts';
import type { Call } from '../verbs/write.ts';

/** The way to the pods of a node; throws 503 when there is none. */
export type StreamsSource = (nodeName: string) => PodStreams;

/** A container, or the pod alone, and the node whose kubelet runs it. */
export interface StreamTarget {
  readonly ref: ContainerRef;
  readonly nodeName: string;
}

/** The pod a port-forward request means; throws 404 for one that is not there. */
export async function podOf(call: Call): Promise<StreamTarget> {
  const { info } = call;
  const { spec } = await podObject(call);
  const ref = { namespace: info.namespace, pod: info.name, container: undefined };
  return { ref, nodeName: stringAt(spec, 'nodeName') };
}

/** The container a log, exec or attach request means; throws 404 for the pod and 400 for the container. */
export async function containerOf(call: Call): Promise<StreamTarget> {
  const { info, request } = call;
  const { spec, metadata } = await podObject(call);
  const all = ['containers', 'initContainers', 'ephemeralContainers'].flatMap((field) =>
    objectsAt(spec, field),
  );
  const names = all.map((one) => stringAt(one, 'name'));
  const asked = request.query.get('container') ?? '';
  if (asked && !names.includes(asked))
    throw badRequest(`container ${asked} is not valid for pod ${info.name}`);
  const main = objectsAt(spec, 'containers').map((one) => stringAt(one, 'name'));
  const annotated = metadata.annotations?.['kubectl.kubernetes.io/default-container'];
  const fallback = main.length === 1 ? main[0] : main.find((one) => one === annotated);
  if (!asked && fallback === undefined) {
    throw badRequest(
      `a container name must be specified for pod ${info.name}, choose one of: [${names.join(' ')}]`,
    );
  }
  const ref = { namespace: info.namespace, pod: info.name, container: asked || fallback };
  return { ref, nodeName: stringAt(spec, 'nodeName') };
}

async function podObject({ core, kind, info }: Call): Promise<UnknownObject> {
  await core.objects.hub.fresh();
  const entry = core.objects.get(kind, info.namespace, info.name);
  if (!entry) throw notFound(kind, info.name);
  return entry.object;
}

/** The node whose kubelet streams; throws 400 for a pod that is on none. */
export function hostOf({ ref, nodeName }: StreamTarget): string {
  if (nodeName === '') throw badRequest(`pod ${ref.pod} does not have a host assigned`);
  return nodeName;
}

/** The reply for what the kubelet refuses. */
export function streamError(error: unknown): StatusError {
  if (error instanceof StatusError) return error;
  if (hasCode(error, 'POD_NOT_FOUND')) return new StatusError(404, 'NotFound', messageOf(error));
  if (hasCode(error, 'CONTAINER_NOT_FOUND') || hasCode(error, 'CONTAINER_NOT_RUNNING')) {
    return badRequest(messageOf(error));
  }
  return error instanceof Fault ? internalError(error.message) : internalError(messageOf(error));
}
