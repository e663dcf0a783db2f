import { type Cidr, parseCidrOrAddress } from '../../src/net/cidr.ts';
import { isExpression } from '../relay/variables.ts';
import { isFieldValue, isToken } from '../http/bytes.ts';
import { compileUserRegex, type UserRegex } from '../compile/user-regex.ts';

const UNKNOWN_VARIABLE = 'names a variable that is not known here';

export const PREFIX = 'nginx.ingress.kubernetes.io/';
/** Annotations of our own; they keep their prefix in verdicts. */
export const WEFT = 'ingress.weft.dev/';

export type VerdictKind = 'honoured' | 'differs' | 'refused';

/** What became of one annotation. */
export interface AnnotationVerdict {
  /** Without the prefix. */
  readonly annotation: string;
  readonly verdict: VerdictKind;
  readonly detail: string;
}

/**
 * Reads the annotations of one Ingress as typed values and keeps a verdict for each. A value that does not parse
 * counts as absent and is refused with the reason: no text ever goes on as text.
 */
export class AnnotationReader {
  readonly namespace: string;
  readonly #values: ReadonlyMap<string, string>;
  readonly #verdicts = new Map<string, AnnotationVerdict>();

  constructor(namespace: string, annotations: Readonly<Record<string, string>> | undefined) {
    this.namespace = namespace;
    const values = new Map<string, string>();
    for (const [name, value] of Object.entries(annotations ?? {})) {
      if (name.startsWith(PREFIX)) values.set(name.slice(PREFIX.length), value);
      else if (name.startsWith(WEFT)) values.set(name, value);
    }
    this.#values = values;
  }

  /** Verdicts of every annotation with our prefix, unknown ones included, in name order. */
  verdicts(): AnnotationVerdict[] {
    for (const name of this.#values.keys()) {
      if (!this.#verdicts.has(name)) this.#say(name, 'refused', 'unknown annotation');
    }
    return [...this.#verdicts.values()].sort((a, b) => (a.annotation < b.annotation ? -1 : 1));
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** As written, unread: only to look at, never to use. */
  raw(name: string): string {
    return this.#values.get(name) ?? '';
  }

  names(): Iterable<string> {
    return this.#values.keys();
  }

  /** True when this annotation was read and could not be used. */
  wasRefused(name: string): boolean {
    return this.#verdicts.get(name)?.verdict === 'refused';
  }

  differs(name: string, how: string): void {
    if (this.has(name) && !this.wasRefused(name)) this.#say(name, 'differs', how);
  }

  refuse(name: string, reason: string): undefined {
    if (this.has(name)) this.#say(name, 'refused', reason);
    return undefined;
  }

  /** The text, trimmed; controls are refused for every annotation. */
  text(name: string): string | undefined {
    const value = this.#values.get(name);
    if (value === undefined) return undefined;
    const trimmed = value.trim();
    if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(trimmed))
      return this.refuse(name, 'holds control characters');
    this.#honour(name);
    return trimmed;
  }

  bool(name: string): boolean | undefined {
    const text = this.text(name)?.toLowerCase();
    if (text === undefined) return undefined;
    if (text === 'true' || text === 'on' || text === '1') return true;
    if (text === 'false' || text === 'off' || text === '0') return false;
    return this.refuse(name, 'must be "true" or "false"');
  }

  integer(name: string, min = 0, max = 2 ** 31 - 1): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    return value >= min && value <= max
      ? value
      : this.refuse(name, `must be a whole number from ${min} to ${max}`);
  }

  /** Seconds (a bare number, or with s, m, h, ms) as milliseconds. */
  durationMs(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    return parseDurationMs(text) ?? this.refuse(name, 'must be seconds');
  }

  /** Bytes with an optional k, m or g. */
  sizeBytes(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    return parseSizeBytes(text) ?? this.refuse(name, 'must be a size such as 8m');
  }

  oneOf<T extends string>(name: string, allowed: readonly T[]): T | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const found = allowed.find((each) => each.toLowerCase() === text.toLowerCase());
    return found ?? this.refuse(name, `must be one of ${allowed.join(', ')}`);
  }

  /** Parts between commas, trimmed, empty ones left out. */
  list(name: string): string[] | undefined {
    const parts = this.text(name)?.split(',');
    return parts?.map((part) => part.trim()).filter((part) => part !== '');
  }

  cidrs(name: string): Cidr[] | undefined {
    const parts = this.list(name);
    if (!parts) return undefined;
    const cidrs = parseCidrList(parts);
    return typeof cidrs === 'string' ? this.refuse(name, `${cidrs} is no CIDR`) : cidrs;
  }

  /** Text that may stand in a header field. */
  fieldValue(name: string): string | undefined {
    const text = this.text(name);
    return text === undefined || isFieldValue(text) ? text : this.refuse(name, 'may not stand in a header');
  }

  token(name: string): string | undefined {
    const text = this.text(name);
    return text === undefined || isToken(text) ? text : this.refuse(name, 'is no token');
  }

  /** Text for a header field with $variables we know. */
  expression(name: string): string | undefined {
    const text = this.fieldValue(name);
    return text === undefined || isExpression(text) ? text : this.refuse(name, UNKNOWN_VARIABLE);
  }

  /** An absolute http(s) URL, or a path; variables are left in. */
  location(name: string): string | undefined {
    const text = this.fieldValue(name);
    if (text === undefined) return undefined;
    if (!isExpression(text)) return this.refuse(name, UNKNOWN_VARIABLE);
    if (/^(https?:\/\/[^\s"'<>]+|\/[^\s"'<>]*|\$[a-z_]+[^\s"'<>]*)$/i.test(text)) return text;
    return this.refuse(name, 'must be an absolute URL');
  }

  /** `name` or `namespace/name` as `namespace/name`. Other namespaces are refused unless allowed. */
  reference(name: string): string | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const parts = text.split('/');
    if (parts.length > 2 || parts.some((part) => !/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(part))) {
      return this.refuse(name, 'must be name or namespace/name');
    }
    if (parts.length === 1) return `${this.namespace}/${text}`;
    if (parts[0] !== this.namespace) return this.refuse(name, 'names another namespace');
    return text;
  }

  regex(name: string, options: { ignoreCase: boolean }): UserRegex | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const compiled = compileUserRegex(text, { ...options, anchored: false });
    return 'reason' in compiled ? this.refuse(name, compiled.reason) : compiled;
  }

  #honour(name: string): void {
    if (!this.#verdicts.has(name)) this.#say(name, 'honoured', '');
  }

  #say(annotation: string, verdict: VerdictKind, detail: string): void {
    this.#verdicts.set(annotation, { annotation, verdict, detail });
  }
}

export function parseSizeBytes(text: string): number | undefined {
  const match = /^(\d{1,12})([kmg]?)$/i.exec(text.trim());
  if (!match) return undefined;
  const unit = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 }[match[2]!.toLowerCase()]!;
  return Number(match[1]) * unit;
}

export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d{1,9})(ms|s|m|h|d)?$/.exec(text.trim());
  if (!match) return undefined;
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[match[2] ?? 's']!;
  return Number(match[1]) * unit;
}

/** CIDRs or bare addresses; the first part that is none when there is one. */
export function parseCidrList(parts: readonly string[]): Cidr[] | string {
  const cidrs: Cidr[] = [];
  for (const part of parts) {
    const cidr = parseCidrOrAddress(part);
    if (!cidr) return part;
    cidrs.push(cidr);
  }
  return cidrs;
}
