import type { Container, Pod } from '../../api/kinds/pod.ts';
import { quantityValue } from './quantity.ts';

/** What the downward API can say of a pod on its node. */
export interface PodFacts {
  readonly pod: Pod;
  readonly podIPs: readonly string[];
  readonly hostIPs: readonly string[];
  readonly nodeName: string;
  /** Stands in for a limit the container does not set. */
  readonly allocatable: Readonly<Record<string, string>>;
}

/** The text of a fieldRef; undefined when the path is not one the downward API knows. */
export function fieldValue(fieldPath: string, facts: PodFacts): string | undefined {
  const { metadata, spec } = facts.pod;
  const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(fieldPath);
  if (keyed) return metadata[keyed[1] === 'labels' ? 'labels' : 'annotations']?.[keyed[2] ?? ''] ?? '';
  switch (fieldPath) {
    case 'metadata.name':
      return metadata.name;
    case 'metadata.namespace':
      return metadata.namespace ?? '';
    case 'metadata.uid':
      return metadata.uid ?? '';
    case 'metadata.labels':
      return formatMap(metadata.labels);
    case 'metadata.annotations':
      return formatMap(metadata.annotations);
    case 'spec.nodeName':
      return facts.nodeName;
    case 'spec.serviceAccountName':
      return spec.serviceAccountName ?? 'default';
    case 'status.podIP':
      return facts.podIPs[0] ?? '';
    case 'status.podIPs':
      return facts.podIPs.join(',');
    case 'status.hostIP':
      return facts.hostIPs[0] ?? '';
    case 'status.hostIPs':
      return facts.hostIPs.join(',');
    default:
      return undefined;
  }
}

/** The number of a resourceFieldRef in units of its divisor, rounded up; undefined for an unknown resource. */
export function resourceValue(
  reference: { readonly resource: string; readonly divisor?: string },
  container: Container,
  facts: PodFacts,
): string | undefined {
  const [kind, ...rest] = reference.resource.split('.');
  const name = rest.join('.');
  if ((kind !== 'limits' && kind !== 'requests') || !name) return undefined;
  const { limits, requests } = container.resources ?? {};
  const set = kind === 'limits' ? limits?.[name] : (requests?.[name] ?? limits?.[name]);
  const text = set ?? (kind === 'limits' ? facts.allocatable[name] : '0');
  const divisor = reference.divisor && reference.divisor !== '0' ? reference.divisor : '1';
  const [value, unit] = [quantityValue(text ?? '0'), quantityValue(divisor)];
  return value === undefined || !unit ? undefined : String(Math.ceil(value / unit - 1e-9));
}

/** One `key="escaped value"` a line, sorted, as the downward API volume writes it. */
function formatMap(map: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(map ?? {})
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .join('\n');
}
