import { dnsLabel } from '../formats.ts';
import {
  arrayAt,
  isObject,
  type JsonObject,
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
} from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import { addressWarnings, cidrWarnings } from './addresses.ts';
import { deprecatedLabel, labelMapWarnings, selectorTermWarnings } from './node-labels.ts';
import { podWarnings } from './pod.ts';
import { claimWarnings } from './quantities.ts';
import { serviceWarnings } from './service.ts';
import { pluginWarnings } from './volumes.ts';

/** Texts for the Warning header of an accepted write; `old` is absent for what is new. */
export type Warnings = (object: UnknownObject, old?: UnknownObject) => string[];

const CLASS_ANNOTATION = 'volume.beta.kubernetes.io/storage-class';
const OPTIONS_ANNOTATION = 'volume.beta.kubernetes.io/mount-options';
const INGRESS_CLASS_ANNOTATION = 'kubernetes.io/ingress.class';

/** By `group/Kind`: what upstream warns of. Kinds that are not here are accepted without a word. */
export const WARNINGS: Readonly<Record<string, Warnings>> = {
  '/Pod': (pod, old) => (old ? [] : [...nameWarnings(pod, "in the Pod's hostname"), ...podWarnings(pod, '')]),
  '/PodTemplate': (object, old) =>
    isSame(object, old) ? [] : podWarnings(objectAt(object, 'template'), 'template'),
  '/ReplicationController': workload(true),
  'apps/ReplicaSet': workload(true),
  'apps/Deployment': workload(true),
  'apps/DaemonSet': workload(false),
  'apps/StatefulSet': (object, old) => [
    ...workload(false)(object, old),
    ...objectsAt(object['spec'], 'volumeClaimTemplates').flatMap((claim, index) =>
      claimWarnings(claim['spec'], `spec.volumeClaimTemplates[${index}]${old ? '.Spec' : ''}`),
    ),
    ...historyWarnings(object),
  ],
  'batch/Job': (object, old) => [
    ...(old ? [] : nameWarnings(object, POD_NAMES)),
    ...(isSame(object, old) ? [] : jobWarnings(objectAt(object, 'spec'), 'spec')),
  ],
  'batch/CronJob': (object, old) => {
    const job = objectAt(objectAt(objectAt(object, 'spec'), 'jobTemplate'), 'spec');
    return [
      ...(old ? [] : nameWarnings(object, POD_NAMES)),
      ...(isSame(object, old) ? [] : jobWarnings(job, 'spec.jobTemplate.spec')),
    ];
  },
  '/Service': serviceWarnings,
  '/Node': ({ spec }) => [
    ...(stringAt(spec, 'externalID') === ''
      ? []
      : ['spec.externalID: this field is deprecated, and is unused by Kubernetes']),
    ...arrayAt(spec, 'podCIDRs').flatMap((one, index) => cidrWarnings(one, `spec.podCIDRs[${index}]`)),
  ],
  '/Endpoints': (endpoints) =>
    objectsAt(endpoints, 'subsets').flatMap((subset, index) =>
      ['addresses', 'notReadyAddresses'].flatMap((field) =>
        objectsAt(subset, field).flatMap((one, position) =>
          addressWarnings(one['ip'], `subsets[${index}].${field}[${position}].ip`),
        ),
      ),
    ),
  'networking.k8s.io/NetworkPolicy': ({ spec }) => [
    ...blockWarnings(spec, 'ingress', 'from'),
    ...blockWarnings(spec, 'egress', 'to'),
  ],
  '/PersistentVolume': volumeWarnings,
  '/PersistentVolumeClaim': (claim) => [
    ...annotationWarnings(claim, CLASS_ANNOTATION, USE_CLASS),
    ...claimWarnings(claim['spec'], 'spec'),
  ],
  'storage.k8s.io/StorageClass': (object) =>
    objectsAt(object, 'allowedTopologies').flatMap((topology, index) =>
      objectsAt(topology, 'matchLabelExpressions').flatMap((expression, position) => {
        const text = deprecatedLabel(stringAt(expression, 'key'));
        const path = `allowedTopologies[${index}].matchLabelExpressions[${position}].key`;
        return text === undefined ? [] : [`${path}: ${text}`];
      }),
    ),
  'node.k8s.io/RuntimeClass': (object) =>
    labelMapWarnings(
      objectAt(objectAt(object, 'scheduling'), 'nodeSelector'),
      () => 'scheduling.nodeSelector',
    ),
  'networking.k8s.io/Ingress': (ingress, old) => {
    const annotated = INGRESS_CLASS_ANNOTATION in objectAt(ingress.metadata, 'annotations');
    if (old || !annotated || stringAt(ingress['spec'], 'ingressClassName') !== '') return [];
    return [
      `annotation "${INGRESS_CLASS_ANNOTATION}" is deprecated, please use 'spec.ingressClassName' instead`,
    ];
  },
  'discovery.k8s.io/EndpointSlice': ({ addressType }, old) =>
    addressType === 'FQDN' && !old ? ['spec.addressType: FQDN endpoints are deprecated'] : [],
};

function blockWarnings(spec: unknown, direction: string, peers: string): string[] {
  return objectsAt(spec, direction).flatMap((rule, index) =>
    objectsAt(rule, peers).flatMap((peer, position) => {
      const path = `spec.${direction}[${index}].${peers}[${position}].ipBlock`;
      const block = objectAt(peer, 'ipBlock');
      return [
        ...cidrWarnings(block['cidr'], `${path}.cidr`),
        ...arrayAt(block, 'except').flatMap((one, at) => cidrWarnings(one, `${path}.except[${at}]`)),
      ];
    }),
  );
}

const POD_NAMES = 'in Pod names and hostnames';

function isSame(object: UnknownObject, old: UnknownObject | undefined): boolean {
  return old !== undefined && object.metadata.generation === old.metadata.generation;
}

function workload(named: boolean): Warnings {
  return (object, old) => [
    ...(named && !old ? nameWarnings(object, POD_NAMES) : []),
    ...(isSame(object, old)
      ? []
      : podWarnings(objectAt(objectAt(object, 'spec'), 'template'), 'spec.template')),
  ];
}

function nameWarnings({ metadata }: UnknownObject, where: string): string[] {
  const reasons = dnsLabel(metadata.name);
  if (reasons.length === 0) return [];
  const text = `this is used ${where}, which can result in surprising behavior; a DNS label is recommended`;
  return [`metadata.name: ${text}: [${reasons.join(' ')}]`];
}

const INDEXES_SOFT_MAX = 100_000;
const PARALLELISM_SOFT_MAX = 10_000;

function jobWarnings(spec: JsonObject, path: string): string[] {
  const isLarge =
    spec['completionMode'] === 'Indexed' &&
    (numberAt(spec, 'completions') ?? 0) > INDEXES_SOFT_MAX &&
    (numberAt(spec, 'parallelism') ?? 0) > PARALLELISM_SOFT_MAX;
  const text =
    'In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail';
  return [
    ...(isLarge ? [`${path}: ${text}`] : []),
    ...podWarnings(objectAt(spec, 'template'), `${path}.template`),
  ];
}

function historyWarnings(object: UnknownObject): string[] {
  if ((numberAt(object['spec'], 'revisionHistoryLimit') ?? 0) >= 0) return [];
  const text = 'a negative value retains all historical revisions; a value >= 0 is recommended';
  return [`spec.revisionHistoryLimit: ${text}`];
}

const USE_CLASS = 'deprecated since v1.8; use "storageClassName" attribute instead';
const USE_OPTIONS = 'deprecated since v1.31; use "mountOptions" attribute instead';

function annotationWarnings({ metadata }: UnknownObject, key: string, text: string): string[] {
  return key in objectAt(metadata, 'annotations') ? [`metadata.annotations[${key}]: ${text}`] : [];
}

function volumeWarnings(volume: UnknownObject): string[] {
  const spec = objectAt(volume, 'spec');
  const required = objectAt(spec, 'nodeAffinity')['required'];
  const terms = isObject(required) ? objectsAt(required, 'nodeSelectorTerms') : [];
  return [
    ...annotationWarnings(volume, CLASS_ANNOTATION, USE_CLASS),
    ...annotationWarnings(volume, OPTIONS_ANNOTATION, USE_OPTIONS),
    ...(spec['persistentVolumeReclaimPolicy'] === 'Recycle'
      ? [
          'spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.',
        ]
      : []),
    ...terms.flatMap((term, index) =>
      selectorTermWarnings(term, `spec.nodeAffinity.required.nodeSelectorTerms[${index}]`, false),
    ),
    ...pluginWarnings(spec, 'spec'),
  ];
}
