import { Buffer } from 'node:buffer';
import { Fault } from '../../../base/fault.ts';
import { parseKey, REGISTRY } from '../cache/storage-key.ts';
import type { EncryptionRule } from './configuration.ts';
import type { Provider } from './providers.ts';

export const ENCRYPTION_KEY_MISSING = 'ENCRYPTION_KEY_MISSING';

const MARK = Buffer.from('k8s:enc:', 'latin1');

/** Seals what goes to the store and opens what comes from it, by the resource in the storage key. */
export interface Encryption {
  readonly seal: (key: string, value: Buffer) => Uint8Array;
  /** Throws Fault ENCRYPTION_KEY_MISSING for bytes that no configured key opens. */
  readonly unseal: (key: string, value: Uint8Array) => Buffer;
}

/** @param rules empty = nothing is sealed */
export function openEncryption(rules: readonly EncryptionRule[]): Encryption {
  const byPrefix = new Map<string, readonly Provider[]>();
  const providersOf = (key: string): readonly Provider[] => {
    const prefix = parseKey(key)?.prefix;
    if (prefix === undefined) return [];
    let known = byPrefix.get(prefix);
    if (!known) {
      known = rules.find((rule) => rule.resources.some((one) => covers(one, prefix)))?.providers ?? [];
      byPrefix.set(prefix, known);
    }
    return known;
  };
  return {
    seal: (key, value) => {
      const [first] = providersOf(key);
      if (!first || first.prefix === '') return value;
      return Buffer.concat([Buffer.from(first.prefix, 'latin1'), first.seal(value, key)]);
    },
    unseal: (key, value) => {
      const bytes = Buffer.isBuffer(value)
        ? value
        : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
      if (!startsWith(bytes, MARK)) return bytes;
      for (const provider of providersOf(key)) {
        const prefix = Buffer.from(provider.prefix, 'latin1');
        if (prefix.length === 0 || !startsWith(bytes, prefix)) continue;
        const opened = provider.open(bytes.subarray(prefix.length), key);
        if (opened) return opened;
      }
      const name = bytes.subarray(0, 64).toString('latin1').split(':').slice(0, 5).join(':');
      throw new Fault(
        ENCRYPTION_KEY_MISSING,
        `${key} is sealed (${name}) and no key of the encryption configuration opens it; give the server the key it was sealed with`,
      );
    },
  };
}

const startsWith = (bytes: Buffer, head: Buffer): boolean => bytes.subarray(0, head.length).equals(head);

/** @param prefix of a storage key: `/registry/core/secrets/` */
function covers(resource: string, prefix: string): boolean {
  const [storedGroup = '', plural = ''] = prefix.slice(REGISTRY.length).split('/');
  const group = storedGroup === 'core' ? '' : storedGroup;
  const dot = resource.indexOf('.');
  const [wantedPlural, wantedGroup] =
    dot < 0 ? [resource, ''] : [resource.slice(0, dot), resource.slice(dot + 1)];
  if (wantedPlural === '*' && wantedGroup === '*') return true;
  return (wantedPlural === '*' || wantedPlural === plural) && wantedGroup === group;
}
