import { randomUUID } from 'node:crypto';
import { splitHostPort, familyOf } from '../../../net/ip.ts';
import { formatTime } from '../../kinds/decode/time.ts';
import { equalJson } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { AddressPool } from '../allocate/address-pool.ts';
import type { Core } from '../verbs/context.ts';

export const SYSTEM_NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'] as const;

/** A new object with what the server fills in; written past admission, as these exist before any rule does. */
export function systemObject(core: Core, object: UnknownObject): UnknownObject {
  const { name, namespace, ...rest } = object.metadata;
  return {
    ...object,
    metadata: {
      name,
      ...(namespace && { namespace }),
      uid: randomUUID(),
      creationTimestamp: formatTime(core.clock.nowMs()),
      ...rest,
    },
  };
}

/** Creates the object unless there is one of that name. */
export async function ensureObject(core: Core, object: UnknownObject): Promise<void> {
  const kind = core.registry.findByKind(object.apiVersion, object.kind);
  if (!kind) return;
  const { name, namespace = '' } = object.metadata;
  if (core.objects.get(kind, namespace, name)) return;
  const made = systemObject(core, object);
  kind.defaults(made);
  await core.objects.put(kind, namespace, name, made, 0);
}

export async function ensureNamespaces(core: Core): Promise<void> {
  await Promise.all(
    SYSTEM_NAMESPACES.map((name) =>
      ensureObject(core, {
        kind: 'Namespace',
        apiVersion: 'v1',
        metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
        spec: { finalizers: ['kubernetes'] },
        status: { phase: 'Active' },
      }),
    ),
  );
}

const LABELS = { component: 'apiserver', provider: 'kubernetes' };
const PORT_NAME = 'https';

/** The `kubernetes` Service in default with the first ClusterIP, and its endpoints: this server. */
export async function ensureKubernetesService(
  core: Core,
  pool: AddressPool | undefined,
  advertised: string | undefined,
): Promise<void> {
  const at = advertised === undefined ? undefined : splitHostPort(advertised);
  if (!pool || !at) return;
  const clusterIP = pool.addressAt(0);
  await Promise.all([
    ensureObject(core, {
      kind: 'Service',
      apiVersion: 'v1',
      metadata: { name: 'kubernetes', namespace: 'default', labels: LABELS },
      spec: {
        clusterIP,
        clusterIPs: [clusterIP],
        ipFamilies: [pool.family],
        ipFamilyPolicy: 'SingleStack',
        internalTrafficPolicy: 'Cluster',
        ports: [{ name: PORT_NAME, port: 443, protocol: 'TCP', targetPort: at.port }],
        sessionAffinity: 'None',
        type: 'ClusterIP',
      },
      status: { loadBalancer: {} },
    }),
    reconcile(core, {
      kind: 'Endpoints',
      apiVersion: 'v1',
      metadata: {
        name: 'kubernetes',
        namespace: 'default',
        labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' },
      },
      subsets: [
        {
          addresses: [{ ip: at.host }],
          ports: [{ name: PORT_NAME, port: at.port, protocol: 'TCP' }],
        },
      ],
    }),
    reconcile(core, {
      kind: 'EndpointSlice',
      apiVersion: 'discovery.k8s.io/v1',
      metadata: {
        name: 'kubernetes',
        namespace: 'default',
        labels: { 'kubernetes.io/service-name': 'kubernetes' },
      },
      addressType: familyOf(at.host) ?? 'IPv4',
      endpoints: [{ addresses: [at.host], conditions: { ready: true } }],
      ports: [{ name: PORT_NAME, port: at.port, protocol: 'TCP' }],
    }),
  ]);
}

/** Like ensureObject, but what is there and differs is replaced: the address may be another at each start. */
async function reconcile(core: Core, object: UnknownObject): Promise<void> {
  const kind = core.registry.findByKind(object.apiVersion, object.kind);
  if (!kind) return;
  const { name, namespace = '' } = object.metadata;
  const entry = core.objects.get(kind, namespace, name);
  if (!entry) return await ensureObject(core, object);
  const { resourceVersion: _, ...metadata } = entry.object.metadata;
  const next = { ...object, metadata };
  if (!equalJson({ ...entry.object, metadata }, next)) {
    await core.objects.put(kind, namespace, name, next, entry.revision);
  }
}
