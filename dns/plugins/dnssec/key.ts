import {
  constants,
  createPrivateKey,
  createPublicKey,
  sign,
  verify,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto';
import { readFileSync } from 'node:fs';
import { record, type TypedRecord } from '../../wire/message.ts';
import { encodeRdata } from '../../wire/encode.ts';
import { foldName } from '../../wire/name.ts';
import { parseRecord } from '../../wire/zone-text.ts';

/** A key that signs, from a pair of BIND's files. */
export interface SigningKey {
  /** Folded owner name. */
  readonly zone: string;
  readonly record: TypedRecord<'DNSKEY'>;
  readonly tag: number;
  readonly algorithm: number;
  /** Secure entry point: the parent's DS names it (RFC 4034 2.1.1). */
  readonly isKsk: boolean;
  sign(octets: Uint8Array): Uint8Array;
}

interface Algorithm {
  readonly name: string;
  readonly hash: string | null;
  /** Octets of an EC coordinate; undefined for others. */
  readonly curve?: { readonly name: string; readonly octets: number };
}

/** IANA's DNS security algorithm numbers that are still recommended (RFC 8624). */
const ALGORITHMS: Readonly<Record<number, Algorithm>> = {
  8: { name: 'RSASHA256', hash: 'sha256' },
  10: { name: 'RSASHA512', hash: 'sha512' },
  13: { name: 'ECDSAP256SHA256', hash: 'sha256', curve: { name: 'P-256', octets: 32 } },
  14: { name: 'ECDSAP384SHA384', hash: 'sha384', curve: { name: 'P-384', octets: 48 } },
  15: { name: 'ED25519', hash: null },
};

const SEP = 1;
const ZONE_KEY = 256;

/** Reads `BASE.key` and `BASE.private`; throws Error with the reason. `path` may name either or neither ending. */
export function readKeyPair(path: string): SigningKey {
  const base = path.replace(/\.(key|private)$/, '');
  const dnskey = publicRecord(readFileSync(`${base}.key`, 'utf8'));
  const fields = privateFields(readFileSync(`${base}.private`, 'utf8'));
  return makeKey(dnskey, fields);
}

function publicRecord(text: string): TypedRecord<'DNSKEY'> {
  const line = text
    .split('\n')
    .map((each) => each.replace(/;.*/, '').trim())
    .find((each) => each !== '');
  const parsed = parseRecord(line ?? '');
  if (!parsed.ok) throw new Error(`the public key cannot be read: ${parsed.reason}`);
  if (parsed.record.type !== 'DNSKEY') throw new Error('the public key is no DNSKEY record');
  if ((parsed.record.data.flags & ZONE_KEY) === 0) throw new Error('it is no zone key (flags 256 or 257)');
  return parsed.record;
}

function privateFields(text: string): ReadonlyMap<string, string> {
  const lines = text.split('\n').map((line) => /^([A-Za-z0-9-]+):\s*(.*)$/.exec(line.trim()));
  return new Map(lines.flatMap((match) => (match ? [[match[1]!, match[2]!.trim()] as const] : [])));
}

function makeKey(dnskey: TypedRecord<'DNSKEY'>, fields: ReadonlyMap<string, string>): SigningKey {
  const { algorithm: number, flags, publicKey } = dnskey.data;
  const algorithm = ALGORITHMS[number];
  if (!algorithm) {
    const known = Object.entries(ALGORITHMS).map(([id, { name }]) => `${id} (${name})`);
    throw new Error(`algorithm ${number} is not supported; use ${known.join(', ')}`);
  }
  if (Number.parseInt(fields.get('Algorithm') ?? '', 10) !== number) {
    throw new Error('public and private key are of different algorithms');
  }
  const privateKey = createPrivateKey({ key: jwkOf(algorithm, publicKey, fields), format: 'jwk' });
  const signer = signerOf(algorithm, privateKey);
  checkPair(algorithm, privateKey, signer, jwkOf(algorithm, publicKey, undefined));
  const folded = record(foldName(dnskey.name), dnskey.ttl, 'DNSKEY', dnskey.data);
  return {
    zone: folded.name,
    record: folded,
    tag: keyTag(encodeRdata(folded)),
    algorithm: number,
    isKsk: (flags & SEP) !== 0,
    sign: signer,
  };
}

/** The private key as a JSON Web Key, or the public one when no fields are given. */
function jwkOf(
  { name, curve }: Algorithm,
  publicKey: Uint8Array,
  fields: ReadonlyMap<string, string> | undefined,
): JsonWebKey {
  const part = (field: string): string => {
    const text = fields?.get(field);
    if (text === undefined) throw new Error(`the private key has no ${field}`);
    return Buffer.from(text, 'base64').toString('base64url');
  };
  const url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
  if (curve) {
    if (publicKey.length !== curve.octets * 2) throw new Error('the public key has the wrong length');
    const [x, y] = [url(publicKey.subarray(0, curve.octets)), url(publicKey.subarray(curve.octets))];
    return { kty: 'EC', crv: curve.name, x, y, ...(fields && { d: part('PrivateKey') }) };
  }
  if (name === 'ED25519') {
    return { kty: 'OKP', crv: 'Ed25519', x: url(publicKey), ...(fields && { d: part('PrivateKey') }) };
  }
  const { exponent, modulus } = rsaParts(publicKey);
  const open = { kty: 'RSA', n: url(modulus), e: url(exponent) };
  if (!fields) return open;
  return {
    ...open,
    d: part('PrivateExponent'),
    p: part('Prime1'),
    q: part('Prime2'),
    dp: part('Exponent1'),
    dq: part('Exponent2'),
    qi: part('Coefficient'),
  };
}

/** RFC 3110 section 2. */
function rsaParts(octets: Uint8Array): { exponent: Uint8Array; modulus: Uint8Array } {
  const long = octets[0] === 0;
  const length = long ? (octets[1]! << 8) | octets[2]! : (octets[0] ?? 0);
  const start = long ? 3 : 1;
  return { exponent: octets.subarray(start, start + length), modulus: octets.subarray(start + length) };
}

function signerOf({ hash, curve }: Algorithm, key: KeyObject): SigningKey['sign'] {
  // RFC 6605 section 4: r and s side by side, not DER.
  const options = curve
    ? { key, dsaEncoding: 'ieee-p1363' as const }
    : { key, padding: constants.RSA_PKCS1_PADDING };
  return (octets) => new Uint8Array(sign(hash, octets, hash === null ? key : options));
}

function checkPair(
  { hash, curve }: Algorithm,
  privateKey: KeyObject,
  signer: SigningKey['sign'],
  publicJwk: JsonWebKey,
): void {
  const key = createPublicKey({ key: publicJwk, format: 'jwk' });
  const probe = Buffer.from('probe');
  const options = curve ? { key, dsaEncoding: 'ieee-p1363' as const } : { key };
  const fits = verify(hash, probe, hash === null ? key : options, signer(probe));
  if (!fits || privateKey.type !== 'private')
    throw new Error('public and private key do not belong together');
}

/** RFC 4034 appendix B. */
export function keyTag(rdata: Uint8Array): number {
  let sum = 0;
  rdata.forEach((byte, i) => (sum += i & 1 ? byte : byte << 8));
  return (sum + (sum >> 16)) & 0xffff;
}
