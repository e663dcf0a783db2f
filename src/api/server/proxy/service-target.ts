import { arrayAt, numberAt, objectsAt, stringAt, valueAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { objectOf, objectsOf } from '../admission/objects.ts';
import type { Core } from '../verbs/context.ts';

export interface Target {
  readonly host: string;
  readonly port: number;
}

/**
 * Where a service's port is answered: a ready endpoint, so that no proxy is needed on this host, else its ClusterIP.
 * @param port number or name; '' = the only one
 */
export function serviceTarget(
  core: Core,
  namespace: string,
  name: string,
  port: number | string,
): Target | undefined {
  const service = objectOf(core, '', 'services', namespace, name);
  const wanted = service && portOf(service, port);
  if (!service || !wanted) return undefined;
  const slices = objectsOf(core, 'discovery.k8s.io', 'endpointslices', namespace).filter(
    (one) => one.metadata.labels?.['kubernetes.io/service-name'] === name,
  );
  const targets = slices.flatMap((slice) => targetsOf(slice, stringAt(wanted, 'name')));
  if (targets.length > 0) return targets[Math.floor(core.random() * targets.length)];
  const clusterIP = valueAt(service, 'spec.clusterIP');
  const number = numberAt(wanted, 'port');
  if (typeof clusterIP !== 'string' || clusterIP === '' || clusterIP === 'None' || number === undefined) {
    return undefined;
  }
  return { host: clusterIP, port: number };
}

function portOf(service: UnknownObject, port: number | string): Record<string, unknown> | undefined {
  const ports = objectsAt(service['spec'], 'ports');
  if (port === '') return ports.length === 1 ? ports[0] : undefined;
  return ports.find((one) => one['port'] === Number(port) || (one['name'] === port && port !== ''));
}

function targetsOf(slice: UnknownObject, portName: string): Target[] {
  const port = objectsAt(slice, 'ports').find((one) => stringAt(one, 'name') === portName);
  const number = numberAt(port, 'port');
  if (number === undefined) return [];
  return objectsAt(slice, 'endpoints')
    .filter((one) => valueAt(one, 'conditions.ready') !== false)
    .flatMap((one) => arrayAt(one, 'addresses'))
    .filter((one) => typeof one === 'string')
    .map((host) => ({ host, port: number }));
}
