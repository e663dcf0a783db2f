import { generateKeyPairSync } from 'node:crypto';
import { encodeRdata } from '../../../dns/wire/encode.ts';
import { record, type TypedRecord } from '../../../dns/wire/message.ts';
import { formatRecord } from '../../../dns/wire/zone-text.ts';

export const KEY_ALGORITHMS = {
  RSASHA256: 8,
  ECDSAP256SHA256: 13,
  ECDSAP384SHA384: 14,
  ED25519: 15,
} as const;
export type KeyAlgorithm = keyof typeof KEY_ALGORITHMS;

export interface BindKey {
  readonly record: TypedRecord<'DNSKEY'>;
  /** Text of the file that ends in .key. */
  readonly publicText: string;
  /** Text of the file that ends in .private. */
  readonly privateText: string;
  /** For delv's -a. */
  readonly trustAnchor: string;
}

/** A fresh key as BIND's dnssec-keygen writes it, made with node:crypto alone. */
export function makeBindKey(zone: string, algorithm: KeyAlgorithm, flags = 257): BindKey {
  const { publicKey, lines } = material(algorithm);
  const number = KEY_ALGORITHMS[algorithm];
  const dnskey = record(zone, 3600, 'DNSKEY', { flags, protocol: 3, algorithm: number, publicKey });
  const base64 = Buffer.from(publicKey).toString('base64');
  return {
    record: dnskey,
    publicText: `; This is a key-signing key, for ${zone}\n${formatRecord(dnskey)}\n`,
    privateText: `Private-key-format: v1.3\nAlgorithm: ${number} (${algorithm})\n${lines.join('\n')}\n`,
    trustAnchor: `trust-anchors { ${zone} static-key ${flags} 3 ${number} "${base64}"; };\n`,
  };
}

/** Octets of the DNSKEY rdata, for key tags. */
export function keyRdata(key: BindKey): Uint8Array {
  return encodeRdata(key.record);
}

function material(algorithm: KeyAlgorithm): { publicKey: Uint8Array; lines: string[] } {
  const bytes = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64url');
  const line = (name: string, text: string | undefined): string =>
    `${name}: ${bytes(text).toString('base64')}`;
  if (algorithm === 'RSASHA256') {
    const jwk = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' });
    const exponent = bytes(jwk.e);
    return {
      publicKey: Uint8Array.from([exponent.length, ...exponent, ...bytes(jwk.n)]),
      lines: [
        line('Modulus', jwk.n),
        line('PublicExponent', jwk.e),
        line('PrivateExponent', jwk.d),
        line('Prime1', jwk.p),
        line('Prime2', jwk.q),
        line('Exponent1', jwk.dp),
        line('Exponent2', jwk.dq),
        line('Coefficient', jwk.qi),
      ],
    };
  }
  if (algorithm === 'ED25519') {
    const jwk = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
    return { publicKey: Uint8Array.from(bytes(jwk.x)), lines: [line('PrivateKey', jwk.d)] };
  }
  const namedCurve = algorithm === 'ECDSAP256SHA256' ? 'P-256' : 'P-384';
  const jwk = generateKeyPairSync('ec', { namedCurve }).privateKey.export({ format: 'jwk' });
  return {
    publicKey: Uint8Array.from([...bytes(jwk.x), ...bytes(jwk.y)]),
    lines: [line('PrivateKey', jwk.d)],
  };
}
