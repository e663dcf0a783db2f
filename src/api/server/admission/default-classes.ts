import { isObject, stringAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { Core } from '../verbs/context.ts';
import type { AdmissionPlugin } from './admission.ts';
import { objectsOf } from './objects.ts';

const INGRESS_CLASS = 'kubernetes.io/ingress.class';
const STORAGE_CLASS = 'volume.beta.kubernetes.io/storage-class';

/** A new Ingress without a class gets the class that is marked as default; of several, the newest. */
export function defaultIngressClass(core: Core): AdmissionPlugin {
  return {
    name: 'DefaultIngressClass',
    admit({ kind, operation, object, subresource }) {
      if (kind.kind !== 'Ingress' || kind.group !== 'networking.k8s.io' || operation !== 'CREATE') return;
      if (!object || subresource || object.metadata.annotations?.[INGRESS_CLASS] !== undefined) return;
      const spec = object['spec'];
      if (!isObject(spec) || spec['ingressClassName'] !== undefined) return;
      const found = newestDefault(
        objectsOf(core, 'networking.k8s.io', 'ingressclasses', ''),
        'ingressclass.kubernetes.io/is-default-class',
      );
      if (found) spec['ingressClassName'] = found.metadata.name;
    },
  };
}

/** The same for a claim without a storage class; an empty name asks for none. */
export function defaultStorageClass(core: Core): AdmissionPlugin {
  return {
    name: 'DefaultStorageClass',
    admit({ kind, operation, object, subresource }) {
      if (kind.kind !== 'PersistentVolumeClaim' || kind.group !== '' || operation !== 'CREATE') return;
      if (!object || subresource || object.metadata.annotations?.[STORAGE_CLASS] !== undefined) return;
      const spec = object['spec'];
      if (!isObject(spec) || spec['storageClassName'] !== undefined) return;
      const found = newestDefault(
        objectsOf(core, 'storage.k8s.io', 'storageclasses', ''),
        'storageclass.kubernetes.io/is-default-class',
      );
      if (found) spec['storageClassName'] = found.metadata.name;
    },
  };
}

function newestDefault(classes: readonly UnknownObject[], annotation: string): UnknownObject | undefined {
  const marked = classes.filter((one) => one.metadata.annotations?.[annotation] === 'true');
  const createdAt = (one: UnknownObject): string => stringAt(one.metadata, 'creationTimestamp');
  return marked.toSorted(
    (a, b) => createdAt(b).localeCompare(createdAt(a)) || a.metadata.name.localeCompare(b.metadata.name),
  )[0];
}
