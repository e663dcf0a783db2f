import { Buffer } from 'node:buffer';
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';

/** One way to seal bytes with one key. `open` is undefined when the bytes were not sealed with it. */
export interface Provider {
  /** What sealed bytes begin with: `k8s:enc:aescbc:v1:KEYNAME:`; '' = identity. */
  readonly prefix: string;
  /** @param context the storage key; binds the bytes to their place where the algorithm can */
  seal(plain: Uint8Array, context: string): Buffer;
  open(sealed: Uint8Array, context: string): Buffer | undefined;
}

export interface NamedKey {
  readonly name: string;
  readonly secret: Uint8Array;
}

const AES_BLOCK_BYTES = 16;
const GCM_NONCE_BYTES = 12;
const GCM_TAG_BYTES = 16;
const SECRETBOX_NONCE_BYTES = 24;

/** Formats are upstream's, so that a store moves between servers with its keys. */
export function identityProvider(): Provider {
  return {
    prefix: '',
    seal: (plain) => Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength),
    open: (sealed) => Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength),
  };
}

/** AES-CBC with PKCS#7 and a random IV in front; not authenticated, kept for stores that have it. */
export function aesCbcProvider({ name, secret }: NamedKey): Provider {
  const algorithm = `aes-${secret.length * 8}-cbc`;
  return {
    prefix: `k8s:enc:aescbc:v1:${name}:`,
    seal: (plain) => {
      const iv = randomBytes(AES_BLOCK_BYTES);
      const cipher = createCipheriv(algorithm, secret, iv);
      return Buffer.concat([iv, cipher.update(plain), cipher.final()]);
    },
    open: (sealed) =>
      attempt(() => {
        const decipher = createDecipheriv(algorithm, secret, sealed.subarray(0, AES_BLOCK_BYTES));
        return Buffer.concat([decipher.update(sealed.subarray(AES_BLOCK_BYTES)), decipher.final()]);
      }),
  };
}

/** AES-GCM with a random nonce in front; the storage key is authenticated along. */
export function aesGcmProvider({ name, secret }: NamedKey): Provider {
  const algorithm = `aes-${secret.length * 8}-gcm` as 'aes-256-gcm';
  return {
    prefix: `k8s:enc:aesgcm:v1:${name}:`,
    seal: (plain, context) => {
      const nonce = randomBytes(GCM_NONCE_BYTES);
      const cipher = createCipheriv(algorithm, secret, nonce);
      cipher.setAAD(Buffer.from(context, 'utf8'));
      return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    },
    open: (sealed, context) =>
      attempt(() => {
        const decipher = createDecipheriv(algorithm, secret, sealed.subarray(0, GCM_NONCE_BYTES));
        decipher.setAAD(Buffer.from(context, 'utf8'));
        const tagAt = sealed.length - GCM_TAG_BYTES;
        decipher.setAuthTag(sealed.subarray(tagAt));
        return Buffer.concat([decipher.update(sealed.subarray(GCM_NONCE_BYTES, tagAt)), decipher.final()]);
      }),
  };
}

/** NaCl's secretbox (XSalsa20-Poly1305) with a random nonce in front. */
export function secretboxProvider({ name, secret }: NamedKey): Provider {
  return {
    prefix: `k8s:enc:secretbox:v1:${name}:`,
    seal: (plain) => {
      const nonce = randomBytes(SECRETBOX_NONCE_BYTES);
      return Buffer.concat([nonce, xsalsa20poly1305(secret, nonce).encrypt(plain)]);
    },
    open: (sealed) =>
      attempt(() => {
        const nonce = sealed.subarray(0, SECRETBOX_NONCE_BYTES);
        return Buffer.from(xsalsa20poly1305(secret, nonce).decrypt(sealed.subarray(SECRETBOX_NONCE_BYTES)));
      }),
  };
}

function attempt(open: () => Buffer): Buffer | undefined {
  try {
    return open();
  } catch {
    return undefined;
  }
}
