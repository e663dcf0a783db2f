import { computedKinds } from './computed.ts';
import { arrayAt, type JsonObject, objectAt, stringAt } from './json-value.ts';
import type { UnknownObject } from './meta.ts';
import { formatQuantity, parseQuantity } from './quantity.ts';
import type { KindInfo } from './registry.ts';
import { NAME, printer, text } from './tables/printer.ts';

const USAGE = {
  type: 'object',
  description: 'The memory usage is the memory working set.',
  additionalProperties: { 'x-kubernetes-int-or-string': true },
};
const MEASURED = {
  timestamp: { type: 'string', format: 'date-time', description: 'The end of the window.' },
  window: {
    type: 'string',
    description: 'Metrics were collected from the interval [Timestamp-Window, Timestamp].',
  },
};

/** metrics.k8s.io/v1beta1: read, never stored. */
export function metricsKinds(): KindInfo[] {
  const container = { type: 'object', properties: { name: { type: 'string' }, usage: USAGE } };
  return [
    ...readOnly('Cluster', 'NodeMetrics', 'nodes', { ...MEASURED, usage: USAGE }),
    ...readOnly('Namespaced', 'PodMetrics', 'pods', {
      ...MEASURED,
      containers: { type: 'array', description: 'Of the same window.', items: container },
    }),
  ];
}

function readOnly(
  scope: 'Cluster' | 'Namespaced',
  kind: string,
  plural: string,
  properties: JsonObject,
): KindInfo[] {
  const made = computedKinds({
    group: 'metrics.k8s.io',
    version: 'v1beta1',
    scope,
    names: { plural, kind },
    properties,
    printer: PRINTER,
  });
  return made.map((one) => ({ ...one, singular: '' }));
}

/** metrics-server's columns: a pod shows the sum of its containers. */
const PRINTER = printer([
  NAME,
  text('cpu', (object) => total(object, 'cpu')),
  text('memory', (object) => total(object, 'memory')),
  text('Window', (object) => stringAt(object, 'window')),
]);

function total(object: UnknownObject, resource: string): string {
  const usages = [
    objectAt(object, 'usage'),
    ...arrayAt(object, 'containers').map((one) => objectAt(one, 'usage')),
  ];
  const [first, ...rest] = usages.flatMap((usage) => parseQuantity(usage[resource]) ?? []);
  if (!first) return '';
  return formatQuantity({ ...first, nano: rest.reduce((sum, { nano }) => sum + nano, first.nano) });
}
