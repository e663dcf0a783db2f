import { arrayAt, objectAt, objectsAt, stringAt, valueAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';

/** What pods refer to by name in their own namespace. */
export type Referred = 'secrets' | 'configmaps' | 'persistentvolumeclaims' | 'serviceaccounts';

/** Names of objects of the resource that the pod uses. */
export function referencesOf(pod: UnknownObject, resource: Referred): Set<string> {
  const spec = objectAt(pod, 'spec');
  const names = new Set<string>();
  const add = (value: unknown): void => {
    if (typeof value === 'string' && value) names.add(value);
  };
  if (resource === 'serviceaccounts') {
    add(spec['serviceAccountName']);
    return names;
  }
  const kind = resource === 'secrets' ? 'secret' : 'configMap';
  const containers = [
    ...objectsAt(spec, 'containers'),
    ...objectsAt(spec, 'initContainers'),
    ...objectsAt(spec, 'ephemeralContainers'),
  ];
  for (const container of resource === 'persistentvolumeclaims' ? [] : containers) {
    for (const env of objectsAt(container, 'env')) add(valueAt(env, `valueFrom.${kind}KeyRef.name`));
    for (const from of objectsAt(container, 'envFrom')) add(valueAt(from, `${kind}Ref.name`));
  }
  for (const volume of objectsAt(spec, 'volumes')) {
    if (resource === 'persistentvolumeclaims') add(valueAt(volume, 'persistentVolumeClaim.claimName'));
    else
      add(resource === 'secrets' ? valueAt(volume, 'secret.secretName') : valueAt(volume, 'configMap.name'));
    for (const source of objectsAt(volume['projected'], 'sources')) add(valueAt(source, `${kind}.name`));
  }
  if (resource === 'secrets') for (const one of arrayAt(spec, 'imagePullSecrets')) add(valueAt(one, 'name'));
  return names;
}

/** The first thing of the API a pod could not have without its server's help; undefined: it needs nothing. */
export function anyReference(pod: UnknownObject): string | undefined {
  const spec = objectAt(pod, 'spec');
  if (stringAt(spec, 'serviceAccountName') || stringAt(spec, 'serviceAccount')) return 'service accounts';
  if (referencesOf(pod, 'secrets').size > 0) return 'secrets';
  if (referencesOf(pod, 'configmaps').size > 0) return 'configmaps';
  if (referencesOf(pod, 'persistentvolumeclaims').size > 0) return 'persistentvolumeclaims';
  if (arrayAt(spec, 'resourceClaims').length > 0) return 'resourceclaims';
  const sources = objectsAt(spec, 'volumes').flatMap((one) => objectsAt(one['projected'], 'sources'));
  if (sources.some((one) => one['serviceAccountToken'] !== undefined)) return 'service account tokens';
  if (sources.some((one) => one['clusterTrustBundle'] !== undefined)) return 'clustertrustbundles';
  return sources.some((one) => one['podCertificate'] !== undefined) ? 'pod certificates' : undefined;
}
