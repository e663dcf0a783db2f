import { PROTECTION_FINALIZERS } from '../../kinds/storage.ts';
import type { AdmissionPlugin } from './admission.ts';

/** New claims and volumes stay until nobody uses them: controllers take these finalizers off again. */
export const storageProtection: AdmissionPlugin = {
  name: 'StorageObjectInUseProtection',
  admit({ kind, operation, object, subresource }) {
    const finalizer = kind.group === '' ? PROTECTION_FINALIZERS.get(kind.kind) : undefined;
    if (finalizer === undefined || operation !== 'CREATE' || !object || subresource) return;
    const present = object.metadata.finalizers ?? [];
    if (!present.includes(finalizer)) object.metadata.finalizers = [...present, finalizer];
  },
};
