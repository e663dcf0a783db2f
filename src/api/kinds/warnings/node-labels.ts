import { labelValue } from '../formats.ts';
import { arrayAt, type JsonObject, objectsAt, stringAt } from '../json-value.ts';

const DEPRECATED: ReadonlyMap<string, string> = new Map([
  ['beta.kubernetes.io/arch', 'deprecated since v1.14; use "kubernetes.io/arch" instead'],
  ['beta.kubernetes.io/os', 'deprecated since v1.14; use "kubernetes.io/os" instead'],
  [
    'failure-domain.beta.kubernetes.io/region',
    'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  ],
  [
    'failure-domain.beta.kubernetes.io/zone',
    'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  ],
  [
    'beta.kubernetes.io/instance-type',
    'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
  ],
  ['app.kubernetes.io/created-by', 'deprecated since v1.9'],
  [
    'scheduler.alpha.kubernetes.io/preferAvoidPods',
    'deprecated since v1.22; use Taints and Tolerations instead',
  ],
  ['node-role.kubernetes.io/master', 'use "node-role.kubernetes.io/control-plane" instead'],
]);

/** What to use in place of a label of nodes; undefined for labels that stay. */
export function deprecatedLabel(key: string): string | undefined {
  return DEPRECATED.get(key);
}

/** Of the keys of a map from labels to values. */
export function labelMapWarnings(labels: JsonObject, path: (key: string) => string): string[] {
  return Object.keys(labels).flatMap((key) => {
    const text = deprecatedLabel(key);
    return text === undefined ? [] : [`${path(key)}: ${text}`];
  });
}

/** Of a NodeSelectorTerm; `withValues`: values that no label has are told, too. */
export function selectorTermWarnings(term: JsonObject, path: string, withValues: boolean): string[] {
  return objectsAt(term, 'matchExpressions').flatMap((expression, index) => {
    const at = `${path}.matchExpressions[${index}]`;
    const key = stringAt(expression, 'key');
    const text = deprecatedLabel(key);
    const values = withValues ? arrayAt(expression, 'values') : [];
    return [
      ...(text === undefined ? [] : [`${at}.key: ${key} is ${text}`]),
      ...values.flatMap((value, position) =>
        labelValue(String(value)).map(
          (reason) => `${at}.values[${position}]: ${String(value)} is invalid, ${reason}`,
        ),
      ),
    ];
  });
}
