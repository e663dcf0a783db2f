import { computedKinds } from './computed.ts';
import { isObject, objectAt, objectsAt, stringAt } from './json-value.ts';
import type { KindInfo } from './registry.ts';
import { AGE, NAME, printer, text } from './tables/printer.ts';

const TEXT = { type: 'string' };
const CONDITIONS = {
  type: 'array',
  items: {
    type: 'object',
    properties: { type: TEXT, status: TEXT, reason: TEXT, message: TEXT, error: TEXT },
  },
};

/** What tells of the server itself: which group-versions it serves, and how its parts are. */
export function systemKinds(): KindInfo[] {
  const services = computedKinds({
    group: 'apiregistration.k8s.io',
    version: 'v1',
    scope: 'Cluster',
    names: { plural: 'apiservices', kind: 'APIService' },
    properties: {
      spec: {
        type: 'object',
        properties: {
          group: TEXT,
          version: TEXT,
          groupPriorityMinimum: { type: 'integer' },
          versionPriority: { type: 'integer' },
        },
      },
      status: { type: 'object', properties: { conditions: CONDITIONS } },
    },
    printer: printer([
      NAME,
      text('Service', (object) => {
        const { service } = objectAt(object, 'spec');
        return isObject(service) ? `${stringAt(service, 'namespace')}/${stringAt(service, 'name')}` : 'Local';
      }),
      text('Available', (object) => conditionOf(object['status'], 'Available', 'status')),
      AGE,
    ]),
  });
  const components = computedKinds({
    group: '',
    version: 'v1',
    scope: 'Cluster',
    names: { plural: 'componentstatuses', kind: 'ComponentStatus', shortNames: ['cs'] },
    properties: { conditions: CONDITIONS },
    printer: printer([
      NAME,
      text('Status', (object) =>
        conditionOf(object, 'Healthy', 'status') === 'True' ? 'Healthy' : 'Unhealthy',
      ),
      text('Message', (object) => conditionOf(object, 'Healthy', 'message')),
      text('Error', (object) => conditionOf(object, 'Healthy', 'error')),
    ]),
  });
  const deprecationWarning = 'v1 ComponentStatus is deprecated in v1.19+';
  return [...services, ...components.map((kind) => ({ ...kind, deprecationWarning }))];
}

function conditionOf(parent: unknown, type: string, field: string): string {
  const found = objectsAt(parent, 'conditions').find((one) => one['type'] === type);
  return stringAt(found, field);
}
