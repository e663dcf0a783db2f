import { type JsonObject, numberAt, objectAt, objectsAt, stringAt } from '../json-value.ts';
import { fractionWarnings } from './quantities.ts';

/** A container and its path in the object. */
export interface PlacedContainer {
  readonly container: JsonObject;
  readonly path: string;
}

/** All containers of a pod spec, in upstream's order. */
export function containersOf(spec: JsonObject, path: string): readonly PlacedContainer[] {
  return ['initContainers', 'containers', 'ephemeralContainers'].flatMap((field) =>
    objectsAt(spec, field).map((container, index) => ({ container, path: `${path}.${field}[${index}]` })),
  );
}

export function resourceWarnings({ container, path }: PlacedContainer): string[] {
  const resources = objectAt(container, 'resources');
  return ['memory', 'ephemeral-storage'].flatMap((name) =>
    ['limits', 'requests'].flatMap((which) =>
      fractionWarnings(resources[which], `${path}.resources.${which}`, [name]),
    ),
  );
}

/** A variable that is set again, and not from its own former value. */
export function environmentWarnings({ container, path }: PlacedContainer): string[] {
  const seen = new Set<string>();
  return objectsAt(container, 'env').flatMap((variable, index) => {
    const name = stringAt(variable, 'name');
    if (!seen.has(name)) {
      seen.add(name);
      return [];
    }
    const own = `$(${name})`;
    const value = stringAt(variable, 'value');
    if (variable['valueFrom'] === undefined && value !== own && value.includes(own)) return [];
    return [
      `${path}.env[${index}]: hides previous definition of ${JSON.stringify(name)}, which may be dropped when using apply`,
    ];
  });
}

interface PlacedPort {
  readonly port: JsonObject;
  readonly path: string;
}

/** Ports of all containers of a pod, which share one address. */
export function portWarnings(containers: readonly PlacedContainer[]): string[] {
  const ports = containers.flatMap(({ container, path }) =>
    objectsAt(container, 'ports').map(
      (port, index): PlacedPort => ({ port, path: `${path}.ports[${index}]` }),
    ),
  );
  return [...numberWarnings(ports), ...nameWarnings(ports)];
}

function numberWarnings(ports: readonly PlacedPort[]): string[] {
  const byNumber = new Map<string, PlacedPort[]>();
  return ports.flatMap((placed) => {
    const { port, path } = placed;
    const key = `${numberAt(port, 'containerPort') ?? 0}/${stringAt(port, 'protocol')}`;
    const others = byNumber.get(key) ?? [];
    byNumber.set(key, [...others, placed]);
    const texts = others.flatMap((other) => {
      const how = overlap(port, other.port);
      return how === undefined ? [] : [`${path}: ${how} with ${other.path}`];
    });
    if (stringAt(port, 'hostIP') === '' || numberAt(port, 'hostPort')) return texts;
    return [`${path}: hostIP set without hostPort: ${goText(port)}`, ...texts];
  });
}

function overlap(one: JsonObject, other: JsonObject): string | undefined {
  const [hostIP, otherIP] = [stringAt(one, 'hostIP'), stringAt(other, 'hostIP')];
  const [hostPort, otherPort] = [numberAt(one, 'hostPort') ?? 0, numberAt(other, 'hostPort') ?? 0];
  if (hostIP === otherIP && hostPort === otherPort) return 'duplicate port definition';
  if (hostPort === 0 || otherPort === 0) return 'overlapping port definition';
  const ambiguous = hostPort === otherPort && (hostIP === '') !== (otherIP === '');
  return ambiguous ? 'dangerously ambiguous port definition' : undefined;
}

/** A ContainerPort as Go prints structs. */
function goText(port: JsonObject): string {
  const number = (name: string): number => numberAt(port, name) ?? 0;
  const text = (name: string): string => stringAt(port, name);
  return `{Name:${text('name')} HostPort:${number('hostPort')} ContainerPort:${number('containerPort')} Protocol:${text('protocol')} HostIP:${text('hostIP')}}`;
}

function nameWarnings(ports: readonly PlacedPort[]): string[] {
  const first = new Map<string, string>();
  return ports.flatMap(({ port, path }) => {
    const name = stringAt(port, 'name');
    const other = first.get(name);
    if (name !== '' && other === undefined) first.set(name, path);
    if (name === '' || other === undefined) return [];
    return [
      `${path}: duplicate port name ${JSON.stringify(name)} with ${other}, services and probes that select ports by name will use ${other}`,
    ];
  });
}
