import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import bcrypt from 'bcryptjs';
import type { Secret } from '../../src/api/kinds/config.ts';
import { secretEntries, secretText } from '../certificates/secrets.ts';
import type { BasicAuthPolicy } from '../policy.ts';
import { apr1 } from './apr1.ts';

/** Users and password hashes of one secret, as htpasswd writes them. */
export type Credentials = ReadonlyMap<string, string>;

/** Parses key `auth` (auth-file), or one key per user (auth-map). Undefined when the secret has no such key. */
export function readCredentials(
  secret: Secret,
  type: BasicAuthPolicy['secretType'],
): Credentials | undefined {
  if (type === 'auth-map') return new Map(secretEntries(secret).map(([user, hash]) => [user, hash.trim()]));
  const file = secretText(secret, 'auth');
  if (file === undefined) return undefined;
  const users = new Map<string, string>();
  for (const line of file.split(/\r?\n/)) {
    const colon = line.indexOf(':');
    if (colon > 0 && !line.startsWith('#')) users.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return users;
}

/** User and password of an Authorization field (RFC 7617). */
export function readBasic(authorization: string | undefined): { user: string; password: string } | undefined {
  const match = /^basic +([A-Za-z0-9+/=_-]+)$/i.exec(authorization ?? '');
  if (!match) return undefined;
  const text = Buffer.from(match[1]!, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** Hashes that were verified and are remembered, so a slow hash costs once per login and not per request. */
const REMEMBERED_MAX = 10_000;

/** Verifies passwords against htpasswd hashes: bcrypt, apr1, SHA-1; the rest is refused. */
export class PasswordVerifier {
  readonly #remembered = new Set<string>();
  readonly #salt = randomBytes(16);

  /** A boolean when it is known at once; unknown users cost as much as wrong passwords of slow hashes do not. */
  verify(credentials: Credentials, user: string, password: string): boolean | Promise<boolean> {
    const hash = credentials.get(user);
    if (hash === undefined) return false;
    if (hash.startsWith('{SHA}'))
      return same(hash.slice(5), createHash('sha1').update(password).digest('base64'));
    if (hash.startsWith('{SSHA}')) return verifySalted(hash.slice(6), password);
    const ticket = createHash('sha256')
      .update(this.#salt)
      .update(`${user}\0${password}\0${hash}`)
      .digest('base64');
    if (this.#remembered.has(ticket)) return true;
    if (hash.startsWith('$apr1$') || hash.startsWith('$1$'))
      return this.#remember(ticket, same(hash, apr1(password, hash)));
    if (/^\$2[abxy]\$/.test(hash))
      return bcrypt.compare(password, hash).then((right) => this.#remember(ticket, right));
    return false;
  }

  #remember(ticket: string, right: boolean): boolean {
    if (!right) return false;
    if (this.#remembered.size >= REMEMBERED_MAX) this.#remembered.clear();
    this.#remembered.add(ticket);
    return true;
  }
}

function verifySalted(encoded: string, password: string): boolean {
  const bytes = Buffer.from(encoded, 'base64');
  const digest = createHash('sha1').update(password).update(bytes.subarray(20)).digest();
  return bytes.length > 20 && timingSafeEqual(digest, bytes.subarray(0, 20));
}

function same(a: string, b: string): boolean {
  const left = createHash('sha256').update(a).digest();
  return timingSafeEqual(left, createHash('sha256').update(b).digest());
}
