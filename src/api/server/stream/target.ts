import { Fault, hasCode, messageOf } from '../../../base/fault.ts';
import { objectsAt, stringAt } from '../../kinds/json-value.ts';
import type { ContainerRef, PodStreams } from '../../kinds/pod-streams.ts';
import { badRequest, internalError, notFound, StatusError, unavailable } from '../status.ts';
import type { Call } from '../verbs/write.ts';

/** Given by the process that runs the pods once its kubelet is there. */
export type StreamsSource = () => PodStreams | undefined;

export function requireStreams(source: StreamsSource): PodStreams {
  const streams = source();
  if (!streams) throw unavailable('no kubelet is connected to this server');
  return streams;
}

/** The container a log, exec or attach request means; throws 404 for the pod and 400 for the container. */
export async function containerOf(call: Call): Promise<ContainerRef> {
  const { core, kind, info, request } = call;
  await core.objects.hub.fresh();
  const entry = core.objects.get(kind, info.namespace, info.name);
  if (!entry) throw notFound(kind, info.name);
  const spec = entry.object['spec'];
  const all = ['containers', 'initContainers', 'ephemeralContainers'].flatMap((field) =>
    objectsAt(spec, field),
  );
  const names = all.map((one) => stringAt(one, 'name'));
  const asked = request.query.get('container') ?? '';
  if (asked && !names.includes(asked))
    throw badRequest(`container ${asked} is not valid for pod ${info.name}`);
  const main = objectsAt(spec, 'containers').map((one) => stringAt(one, 'name'));
  const annotated = entry.object.metadata.annotations?.['kubectl.kubernetes.io/default-container'];
  const fallback = main.length === 1 ? main[0] : main.find((one) => one === annotated);
  if (!asked && fallback === undefined) {
    throw badRequest(
      `a container name must be specified for pod ${info.name}, choose one of: [${names.join(' ')}]`,
    );
  }
  return { namespace: info.namespace, pod: info.name, container: asked || fallback };
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
