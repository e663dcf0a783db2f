import { TYPES } from './types.generated.ts';

/** One field of a built-in type, as JSON, protobuf and patches see it. */
export interface TypeField {
  /** JSON name; '' for an embedded struct whose fields JSON flattens into the parent. */
  readonly name: string;
  /** Go scalar, special type (time, quantity …) or the name of another type (`core/v1.Container`). */
  readonly base: string;
  readonly list: boolean;
  readonly map: boolean;
  /** Absent differs from the zero value. */
  readonly pointer: boolean;
  /** Protobuf field number; 0 = not on the wire. */
  readonly number: number;
  /** Zero values are left out of JSON. */
  readonly omitEmpty: boolean;
  /** An empty struct is left out as well; without this Go writes `{}`. */
  readonly omitZero: boolean;
  readonly required: boolean;
  readonly listType: 'atomic' | 'set' | 'map';
  readonly listMapKeys: readonly string[];
  readonly atomic: boolean;
  readonly patchStrategy: readonly string[];
  readonly patchMergeKey: string | undefined;
  readonly default: unknown;
}

export interface TypeInfo {
  readonly name: string;
  readonly atomic: boolean;
  /** By JSON name, embedded structs flattened. */
  readonly fields: ReadonlyMap<string, TypeField>;
  /** By protobuf number, embedded structs as fields named ''. */
  readonly wire: ReadonlyMap<number, TypeField>;
}

const parsed = new Map<string, TypeInfo>();

/** The generated facts of a type, read on first use. */
export function typeInfo(name: string): TypeInfo | undefined {
  const known = parsed.get(name);
  if (known) return known;
  const text = Object.hasOwn(TYPES, name) ? TYPES[name] : undefined;
  if (text === undefined) return undefined;
  const info = parseType(name, text);
  parsed.set(name, info);
  return info;
}

/** Names of all generated types. */
export function typeNames(): string[] {
  return Object.keys(TYPES);
}

/** True for a name of the table, false for scalars and special types. */
export function isTypeName(base: string): boolean {
  return base.includes('.');
}

function parseType(name: string, text: string): TypeInfo {
  const fields = new Map<string, TypeField>();
  const wire = new Map<number, TypeField>();
  let atomic = false;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    if (line === '@atomic') {
      atomic = true;
      continue;
    }
    const field = parseField(line);
    if (field.number > 0) wire.set(field.number, field);
    if (field.name !== '') fields.set(field.name, field);
    else for (const [key, one] of typeInfo(field.base)?.fields ?? []) fields.set(key, one);
  }
  return { name, atomic, fields, wire };
}

const TYPE_TEXT = /^(\*?)((?:\[\])?)((?:\{\})?)(.*)$/;

function parseField(line: string): TypeField {
  const [name = '', type = '', number = '0', ...flags] = line.split(' ');
  const [, pointer, list, map, base = ''] = TYPE_TEXT.exec(type) ?? [];
  const value = (flag: string): string | undefined =>
    flags.find((one) => one.startsWith(`${flag}=`))?.slice(flag.length + 1);
  const keys = value('map')?.split(',') ?? [];
  const fallback = value('default');
  return {
    name: name === '+' ? '' : name,
    base,
    list: list !== '',
    map: map !== '',
    pointer: pointer !== '',
    number: Number(number),
    omitEmpty: flags.includes('?'),
    omitZero: flags.includes('?0'),
    required: flags.includes('!'),
    listType: keys.length > 0 ? 'map' : flags.includes('set') ? 'set' : 'atomic',
    listMapKeys: keys,
    atomic: flags.includes('atomic'),
    patchStrategy: value('strategy')?.split(',') ?? [],
    patchMergeKey: value('merge'),
    default: fallback === undefined ? undefined : (JSON.parse(fallback) as unknown),
  };
}
