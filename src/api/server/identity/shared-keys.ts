import { Buffer } from 'node:buffer';
import { scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { Fault } from '../../../base/fault.ts';
import type { Store } from '../../../store/store.ts';
import { isObject } from '../../kinds/json-value.ts';
import { aesGcmProvider, type Provider } from '../encryption/providers.ts';

export const PKI_SECRET_WRONG = 'PKI_SECRET_WRONG';
export const PKI_SECRET_WEAK = 'PKI_SECRET_WEAK';

/** The files that make several servers one cluster: who holds them can be anybody in it. */
export const SHARED_FILES = ['ca.key', 'ca.crt', 'sa.key'] as const;
export type SharedFiles = Readonly<Record<(typeof SHARED_FILES)[number], string>>;

const KEY = '/weft/pki/keys';
/** Shorter secrets can be guessed from the sealed bytes. */
const SECRET_CHARACTERS_MIN = 24;
const KEY_BYTES = 32;
/** 2^15 * 8 * 128 B = 32 MiB and about 0.1 s for each guess (RFC 7914). */
const SCRYPT = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };
const derive = promisify(
  (secret: string, salt: string, done: (error: Error | null, key: Buffer) => void): void =>
    scrypt(secret, salt, KEY_BYTES, SCRYPT, done),
);

/**
 * The keys of the cluster in the store, sealed with a secret that never is there. The first server puts its own; all
 * others take those, so that `own` of the result differs from what they had.
 * Faults: PKI_SECRET_WEAK, PKI_SECRET_WRONG.
 */
export async function agreeOnKeys(store: Store, secret: string, own: SharedFiles): Promise<SharedFiles> {
  const text = secret.trim();
  if (text.length < SECRET_CHARACTERS_MIN) {
    throw new Fault(
      PKI_SECRET_WEAK,
      `the secret that seals the keys has ${text.length} characters, less than ${SECRET_CHARACTERS_MIN}: make one with "openssl rand -base64 32"`,
    );
  }
  const provider = aesGcmProvider({ name: 'pki', secret: await derive(text, KEY) });
  const { entry } = await store.get(KEY);
  if (entry) return opened(provider, entry.value);
  const sealed = provider.seal(Buffer.from(JSON.stringify(own), 'utf8'), KEY);
  const result = await store.put(KEY, sealed, 0);
  if (result.ok) return own;
  // Another server was faster.
  const value = result.current?.value ?? (await store.get(KEY)).entry?.value;
  return value ? opened(provider, value) : own;
}

function opened(provider: Provider, sealed: Uint8Array): SharedFiles {
  const plain = provider.open(sealed, KEY);
  const value: unknown = plain && JSON.parse(plain.toString('utf8'));
  if (!isObject(value) || !SHARED_FILES.every((name) => typeof value[name] === 'string')) {
    throw new Fault(
      PKI_SECRET_WRONG,
      'the keys in the store are sealed with another secret: give this server the --pki-key-file of the others',
    );
  }
  return value as unknown as SharedFiles;
}
