import { isObject, type JsonObject, numberAt, objectAt, objectsAt, stringAt } from '../json-value.ts';
import { addressWarnings } from './addresses.ts';
import {
  containersOf,
  environmentWarnings,
  type PlacedContainer,
  portWarnings,
  resourceWarnings,
} from './containers.ts';
import { deprecatedLabel, labelMapWarnings, selectorTermWarnings } from './node-labels.ts';
import { fractionWarnings } from './quantities.ts';
import { overlapWarnings, pluginWarnings } from './volumes.ts';

const ANNOTATIONS: readonly (readonly [key: string, text: string])[] = [
  [
    'scheduler.alpha.kubernetes.io/critical-pod',
    'non-functional in v1.16+; use the "priorityClassName" field instead',
  ],
  ['security.alpha.kubernetes.io/sysctls', 'non-functional in v1.11+; use the "sysctls" field instead'],
  [
    'security.alpha.kubernetes.io/unsafe-sysctls',
    'non-functional in v1.11+; use the "sysctls" field instead',
  ],
];
const POD_SECCOMP = 'seccomp.security.alpha.kubernetes.io/pod';
const CONTAINER_SECCOMP = 'container.seccomp.security.alpha.kubernetes.io/';
const APP_ARMOR = 'container.apparmor.security.beta.kubernetes.io/';
const NO_SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead';
const NO_APP_ARMOR = 'deprecated since v1.30; use the "appArmorProfile" field instead';
const NO_SELECTOR = 'a null labelSelector results in matching no pod';

/** Of a Pod, or of the template at `path`: what is accepted and will not do what its author expects. */
export function podWarnings(pod: JsonObject, path: string): string[] {
  const spec = objectAt(pod, 'spec');
  const annotations = objectAt(objectAt(pod, 'metadata'), 'annotations');
  const at = path === '' ? 'spec' : `${path}.spec`;
  const annotated = path === '' ? 'metadata.annotations' : `${path}.metadata.annotations`;
  const containers = containersOf(spec, at);
  return [
    ...labelMapWarnings(objectAt(spec, 'nodeSelector'), (key) => `${at}.nodeSelector[${key}]`),
    ...nodeAffinityWarnings(
      objectAt(objectAt(spec, 'affinity'), 'nodeAffinity'),
      `${at}.affinity.nodeAffinity`,
    ),
    ...spreadWarnings(spec, at),
    ...ANNOTATIONS.filter(([key]) => key in annotations).map(
      ([key, text]) => `${annotated}[${key}]: ${text}`,
    ),
    ...objectsAt(spec, 'volumes').flatMap((volume, index) =>
      pluginWarnings(volume, `${at}.volumes[${index}]`),
    ),
    ...overlapWarnings(objectsAt(spec, 'volumes')),
    ...repeated(spec, 'hostAliases', 'ip', at),
    ...repeated(spec, 'imagePullSecrets', 'name', at),
    ...objectsAt(spec, 'imagePullSecrets').flatMap((one, index) =>
      stringAt(one, 'name') === '' ? [`${at}.imagePullSecrets[${index}].name: invalid empty name ""`] : [],
    ),
    ...fractionWarnings(spec['overhead'], `${at}.overhead`),
    ...(POD_SECCOMP in annotations && !hasField(spec, 'seccompProfile')
      ? [`${annotated}[${POD_SECCOMP}]: ${NO_SECCOMP}`]
      : []),
    ...containers.flatMap((one) => [
      ...profileWarnings(one, annotations, annotated),
      ...resourceWarnings(one),
      ...environmentWarnings(one),
    ]),
    ...portWarnings(containers),
    ...graceWarnings(spec, at),
    ...podAffinityWarnings(objectAt(spec, 'affinity'), `${at}.affinity`),
    ...podAddressWarnings(spec, at),
  ];
}

function nodeAffinityWarnings(affinity: JsonObject, path: string): string[] {
  const required = 'requiredDuringSchedulingIgnoredDuringExecution';
  const preferred = 'preferredDuringSchedulingIgnoredDuringExecution';
  return [
    ...objectsAt(affinity[required], 'nodeSelectorTerms').flatMap((term, index) =>
      selectorTermWarnings(term, `${path}.${required}.nodeSelectorTerms[${index}]`, false),
    ),
    ...objectsAt(affinity, preferred).flatMap((term, index) =>
      selectorTermWarnings(objectAt(term, 'preference'), `${path}.${preferred}[${index}].preference`, true),
    ),
  ];
}

function spreadWarnings(spec: JsonObject, path: string): string[] {
  return objectsAt(spec, 'topologySpreadConstraints').flatMap((constraint, index) => {
    const at = `${path}.topologySpreadConstraints[${index}]`;
    const key = stringAt(constraint, 'topologyKey');
    const text = deprecatedLabel(key);
    return [
      ...(text === undefined ? [] : [`${at}.topologyKey: ${key} is ${text}`]),
      ...(isObject(constraint['labelSelector']) ? [] : [`${at}.labelSelector: ${NO_SELECTOR}`]),
    ];
  });
}

/** Entries of a list that has a key, which comes twice. */
function repeated(spec: JsonObject, list: string, key: string, path: string): string[] {
  const seen = new Set<string>();
  return objectsAt(spec, list).flatMap((one, index) => {
    const value = stringAt(one, key);
    if (seen.has(value))
      return [`${path}.${list}[${index}].${key}: duplicate ${key} ${JSON.stringify(value)}`];
    seen.add(value);
    return [];
  });
}

function hasField(owner: JsonObject, field: string): boolean {
  return isObject(objectAt(owner, 'securityContext')[field]);
}

/** Annotations whose fields are not set. */
function profileWarnings(
  { container }: PlacedContainer,
  annotations: JsonObject,
  annotated: string,
): string[] {
  const name = stringAt(container, 'name');
  const told = (prefix: string, field: string, text: string): string[] =>
    `${prefix}${name}` in annotations && !hasField(container, field)
      ? [`${annotated}[${prefix}${name}]: ${text}`]
      : [];
  return [
    ...told(CONTAINER_SECCOMP, 'seccompProfile', NO_SECCOMP),
    ...told(APP_ARMOR, 'appArmorProfile', NO_APP_ARMOR),
  ];
}

function graceWarnings(spec: JsonObject, path: string): string[] {
  if ((numberAt(spec, 'terminationGracePeriodSeconds') ?? 0) >= 0) return [];
  const text = 'must be >= 0; negative values are invalid and will be treated as 1';
  return [`${path}.terminationGracePeriodSeconds: ${text}`];
}

function podAffinityWarnings(affinity: JsonObject, path: string): string[] {
  return ['podAffinity', 'podAntiAffinity'].flatMap((which) => {
    const rules = objectAt(affinity, which);
    const at = (name: string, index: number): string => `${path}.${which}.${name}[${index}]`;
    const required = 'requiredDuringSchedulingIgnoredDuringExecution';
    const preferred = 'preferredDuringSchedulingIgnoredDuringExecution';
    return [
      ...objectsAt(rules, required).flatMap((term, index) =>
        isObject(term['labelSelector']) ? [] : [`${at(required, index)}.labelSelector: ${NO_SELECTOR}`],
      ),
      ...objectsAt(rules, preferred).flatMap((term, index) =>
        isObject(objectAt(term, 'podAffinityTerm')['labelSelector'])
          ? []
          : [`${at(preferred, index)}.podAffinityTerm.labelSelector: ${NO_SELECTOR}`],
      ),
    ];
  });
}

function podAddressWarnings(spec: JsonObject, path: string): string[] {
  const servers = objectAt(spec, 'dnsConfig')['nameservers'];
  return [
    ...(Array.isArray(servers) ? servers : []).flatMap((one, index) =>
      addressWarnings(one, `${path}.dnsConfig.nameservers[${index}]`),
    ),
    ...objectsAt(spec, 'hostAliases').flatMap((one, index) =>
      addressWarnings(one['ip'], `${path}.hostAliases[${index}].ip`),
    ),
  ];
}
