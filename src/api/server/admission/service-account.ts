import { arrayAt, isObject, type JsonObject, objectAt, objectsAt, stringAt } from '../../kinds/json-value.ts';
import { cloneJson } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { ensureObject } from '../bootstrap/system-objects.ts';
import { forbidden } from '../status.ts';
import type { Core } from '../verbs/context.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';

const MOUNT_PATH = '/var/run/secrets/kubernetes.io/serviceaccount';
const TOKEN_SECONDS = 3_607;
const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';
export const ROOT_CA_CONFIG_MAP = 'kube-root-ca.crt';

/** Gives each new pod its account, the account's pull secrets, and the account's token as a projected volume. */
export function serviceAccountAdmission(core: Core): AdmissionPlugin {
  return {
    name: 'ServiceAccount',
    async admit(request) {
      const { kind, operation, object, subresource } = request;
      if (kind.group !== '' || kind.kind !== 'Pod' || operation !== 'CREATE' || !object || subresource)
        return;
      const spec = object['spec'];
      if (!isObject(spec)) return;
      if (object.metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined) {
        refuseMirror(request, spec);
        return;
      }
      const name = stringAt(spec, 'serviceAccountName') || stringAt(spec, 'serviceAccount') || 'default';
      spec['serviceAccountName'] = name;
      spec['serviceAccount'] = name;
      const account = await lookUp(core, request, name);
      if (arrayAt(spec, 'imagePullSecrets').length === 0) {
        const secrets = arrayAt(account, 'imagePullSecrets');
        if (secrets.length > 0) spec['imagePullSecrets'] = cloneJson(secrets);
      }
      if (mounts(account, spec)) addTokenVolume(spec, core.random);
    },
  };
}

function refuseMirror(request: AdmissionRequest, spec: JsonObject): void {
  if (stringAt(spec, 'serviceAccountName')) {
    throw forbidden(request.kind, request.name, 'a mirror pod may not reference service accounts');
  }
}

async function lookUp(core: Core, request: AdmissionRequest, name: string): Promise<UnknownObject> {
  const kind = core.registry.find('', 'v1', 'serviceaccounts');
  const { namespace } = request;
  const find = (): UnknownObject | undefined => kind && core.objects.get(kind, namespace, name)?.object;
  let account = find();
  if (!account) {
    // The namespace may be younger than the loop that gives it its default account.
    if (name === 'default') {
      await ensureObject(core, { kind: 'ServiceAccount', apiVersion: 'v1', metadata: { name, namespace } });
    }
    await core.objects.hub.fresh();
    account = find();
  }
  if (!account) {
    const why = `error looking up service account ${namespace}/${name}: serviceaccount ${JSON.stringify(name)} not found`;
    throw forbidden(request.kind, request.name, why);
  }
  return account;
}

function mounts(account: UnknownObject, spec: JsonObject): boolean {
  const own = spec['automountServiceAccountToken'];
  if (typeof own === 'boolean') return own;
  return account['automountServiceAccountToken'] !== false;
}

function addTokenVolume(spec: JsonObject, random: () => number): void {
  const containers = [...objectsAt(spec, 'containers'), ...objectsAt(spec, 'initContainers')];
  const needy = containers.filter(
    (container) => !objectsAt(container, 'volumeMounts').some((mount) => mount['mountPath'] === MOUNT_PATH),
  );
  if (needy.length === 0) return;
  let suffix = '';
  while (suffix.length < 5) suffix += ALPHABET[Math.floor(random() * ALPHABET.length)] ?? 'b';
  const name = `kube-api-access-${suffix}`;
  for (const container of needy) {
    const mount = { name, readOnly: true, mountPath: MOUNT_PATH };
    container['volumeMounts'] = [...objectsAt(container, 'volumeMounts'), mount];
  }
  const fieldRef = { apiVersion: 'v1', fieldPath: 'metadata.namespace' };
  const volume = {
    name,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: TOKEN_SECONDS, path: 'token' } },
        { configMap: { name: ROOT_CA_CONFIG_MAP, items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        { downwardAPI: { items: [{ path: 'namespace', fieldRef }] } },
      ],
      defaultMode: 420,
    },
  };
  spec['volumes'] = [...objectsAt(spec, 'volumes'), volume];
}

/** What every namespace gets: its default account and the CA that signs the API server's certificate. */
export async function furnishNamespace(core: Core, name: string, caPem: string): Promise<void> {
  const kind = core.registry.find('', 'v1', 'namespaces');
  const entry = kind && core.objects.get(kind, '', name);
  if (!entry || entry.object.metadata.deletionTimestamp) return;
  const metadata = { namespace: name };
  await ensureObject(core, {
    kind: 'ServiceAccount',
    apiVersion: 'v1',
    metadata: { ...metadata, name: 'default' },
  });
  const maps = core.registry.find('', 'v1', 'configmaps');
  const map = maps && core.objects.get(maps, name, ROOT_CA_CONFIG_MAP);
  if (map && maps && stringAt(objectAt(map.object, 'data'), 'ca.crt') !== caPem) {
    const object = { ...map.object, data: { 'ca.crt': caPem } };
    await core.objects.put(maps, name, ROOT_CA_CONFIG_MAP, object, map.revision);
  }
  await ensureObject(core, {
    kind: 'ConfigMap',
    apiVersion: 'v1',
    metadata: {
      ...metadata,
      name: ROOT_CA_CONFIG_MAP,
      annotations: {
        'kubernetes.io/description':
          'Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.',
      },
    },
    data: { 'ca.crt': caPem },
  });
}
