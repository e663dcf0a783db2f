/**
 * Header fields as parallel arrays. Names are interned: equal spellings share one FieldName, so a hot path
 * compares `role` numbers instead of strings and lower-cases each spelling once in the process's life.
 */
export interface FieldName {
  /** As written by the sender. */
  readonly raw: string;
  readonly lower: string;
  /** `raw: `, ready to be written. */
  readonly line: string;
  readonly role: Role;
}

/** What the relay itself has to do with a field; PLAIN ones just pass. */
export type Role = (typeof Role)[keyof typeof Role];
export const Role = {
  PLAIN: 0,
  HOST: 1,
  CONTENT_LENGTH: 2,
  TRANSFER_ENCODING: 3,
  CONNECTION: 4,
  EXPECT: 5,
  UPGRADE: 6,
  TE: 7,
  /** Keep-Alive, Proxy-Connection, Proxy-Authenticate, Proxy-Authorization: never forwarded. */
  HOP_BY_HOP: 8,
  X_FORWARDED_FOR: 9,
  /** X-Forwarded-Host/-Port/-Proto/-Scheme, X-Scheme, X-Real-IP: written by us, the client's copy goes. */
  FORWARDED: 10,
  X_REQUEST_ID: 11,
  /** `Proxy`: never reaches a backend (httpoxy). */
  PROXY: 12,
  TRAILER: 13,
} as const;

/** Names the relay itself has to do with, in lower case. */
export const ROLES: Readonly<Record<string, Role>> = {
  host: Role.HOST,
  'content-length': Role.CONTENT_LENGTH,
  'transfer-encoding': Role.TRANSFER_ENCODING,
  connection: Role.CONNECTION,
  expect: Role.EXPECT,
  upgrade: Role.UPGRADE,
  te: Role.TE,
  'keep-alive': Role.HOP_BY_HOP,
  'proxy-connection': Role.HOP_BY_HOP,
  'proxy-authenticate': Role.HOP_BY_HOP,
  'proxy-authorization': Role.HOP_BY_HOP,
  'http2-settings': Role.HOP_BY_HOP,
  'x-forwarded-for': Role.X_FORWARDED_FOR,
  'x-forwarded-host': Role.FORWARDED,
  'x-forwarded-port': Role.FORWARDED,
  'x-forwarded-proto': Role.FORWARDED,
  'x-forwarded-scheme': Role.FORWARDED,
  'x-scheme': Role.FORWARDED,
  'x-real-ip': Role.FORWARDED,
  'x-original-forwarded-for': Role.FORWARDED,
  'x-request-id': Role.X_REQUEST_ID,
  proxy: Role.PROXY,
  trailer: Role.TRAILER,
};

/** Spellings remembered; later new ones are made anew each time, so a flood of names costs time, not memory. */
const INTERNED_MAX = 2048;
const interned = new Map<string, FieldName>();

export function fieldName(raw: string): FieldName {
  const known = interned.get(raw);
  if (known) return known;
  const lower = raw.toLowerCase();
  const role = Object.hasOwn(ROLES, lower) ? (ROLES[lower] ?? Role.PLAIN) : Role.PLAIN;
  const made: FieldName = { raw, lower, line: `${raw}: `, role };
  if (interned.size < INTERNED_MAX && raw.length <= 64) interned.set(raw, made);
  return made;
}

export class Fields {
  readonly names: FieldName[] = [];
  readonly values: string[] = [];

  static of(...pairs: readonly (readonly [string, string])[]): Fields {
    const fields = new Fields();
    for (const [name, value] of pairs) fields.add(name, value);
    return fields;
  }

  get length(): number {
    return this.names.length;
  }

  add(name: string, value: string): void {
    this.names.push(fieldName(name));
    this.values.push(value);
  }

  push(name: FieldName, value: string): void {
    this.names.push(name);
    this.values.push(value);
  }

  /** The first value; `lower` must be in lower case. */
  get(lower: string): string | undefined {
    for (let i = 0; i < this.names.length; i++) if (this.names[i]!.lower === lower) return this.values[i];
    return undefined;
  }

  /** All values joined with `, ` (cookies with `; `), undefined when absent. */
  joined(lower: string): string | undefined {
    let all: string | undefined;
    for (let i = 0; i < this.names.length; i++) {
      if (this.names[i]!.lower !== lower) continue;
      all = all === undefined ? this.values[i] : all + (lower === 'cookie' ? '; ' : ', ') + this.values[i];
    }
    return all;
  }

  has(lower: string): boolean {
    return this.get(lower) !== undefined;
  }

  /** Removes every field of that name; true when there was one. */
  remove(lower: string): boolean {
    let kept = 0;
    for (let i = 0; i < this.names.length; i++) {
      if (this.names[i]!.lower === lower) continue;
      this.names[kept] = this.names[i]!;
      this.values[kept++] = this.values[i]!;
    }
    const removed = kept < this.names.length;
    this.names.length = kept;
    this.values.length = kept;
    return removed;
  }

  set(name: string, value: string): void {
    this.remove(name.toLowerCase());
    this.add(name, value);
  }

  copy(): Fields {
    const twin = new Fields();
    for (let i = 0; i < this.names.length; i++) twin.push(this.names[i]!, this.values[i]!);
    return twin;
  }

  *entries(): Generator<[string, string]> {
    for (let i = 0; i < this.names.length; i++) yield [this.names[i]!.lower, this.values[i]!];
  }
}
