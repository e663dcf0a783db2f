/** What is known of a value before the expression runs (cel-spec langdef, "Gradual Type Checking"). */
export interface CelType {
  readonly kind: CelTypeKind;
  /** `int`, `list`, `kubernetes.URL`; the name of a type parameter. */
  readonly name: string;
  /** Element of a list; key and value of a map; parameters of an opaque type; what a type denotes. */
  readonly params: readonly CelType[];
  /** Fields of a struct that has any; undefined for those that only functions look into. */
  readonly fields?: ReadonlyMap<string, CelType>;
}

export type CelTypeKind =
  | 'dyn'
  | 'error'
  | 'null'
  | 'scalar'
  | 'list'
  | 'map'
  | 'struct'
  | 'opaque'
  | 'type'
  | 'param';

const NONE: readonly CelType[] = [];
const named = (kind: CelTypeKind, name: string): CelType => ({ kind, name, params: NONE });

export const DYN = named('dyn', 'dyn');
export const ERROR = named('error', '!error!');
export const NULL = named('null', 'null');
export const BOOL = named('scalar', 'bool');
export const INT = named('scalar', 'int');
export const UINT = named('scalar', 'uint');
export const DOUBLE = named('scalar', 'double');
export const STRING = named('scalar', 'string');
export const BYTES = named('scalar', 'bytes');
export const TIMESTAMP = named('scalar', 'timestamp');
export const DURATION = named('scalar', 'duration');

const SIMPLE: ReadonlyMap<string, CelType> = new Map(
  [DYN, NULL, BOOL, INT, UINT, DOUBLE, STRING, BYTES, TIMESTAMP, DURATION].map((one) => [one.name, one]),
);
const OPAQUE: ReadonlySet<string> = new Set(['optional_type', 'net.IP', 'net.CIDR']);

export const listOf = (item: CelType): CelType => ({ kind: 'list', name: 'list', params: [item] });
export const mapOf = (key: CelType, value: CelType): CelType => ({
  kind: 'map',
  name: 'map',
  params: [key, value],
});
export const optionalOf = (value: CelType): CelType => ({
  kind: 'opaque',
  name: 'optional_type',
  params: [value],
});
export const typeOf = (value: CelType): CelType => ({ kind: 'type', name: 'type', params: [value] });
export const typeParam = (name: string): CelType => named('param', name);
export const structOf = (name: string, fields?: ReadonlyMap<string, CelType>): CelType => ({
  kind: 'struct',
  name,
  params: NONE,
  ...(fields ? { fields } : {}),
});

export const isOptional = (type: CelType): boolean => type.kind === 'opaque' && type.name === 'optional_type';

/** Item of a list, value of a map or optional; `dyn` when there is none. */
export const lastParam = (type: CelType): CelType => type.params.at(-1) ?? DYN;

/** A type as it is written in declarations: `map(string, list(A))`; single capitals are parameters. */
export function parseType(text: string): CelType {
  const open = text.indexOf('(');
  if (open < 0) return simpleType(text);
  const name = text.slice(0, open);
  const params = splitTypes(text.slice(open + 1, -1)).map(parseType);
  if (name === 'list' || name === 'map' || name === 'type') return { kind: name, name, params };
  return { kind: 'opaque', name, params };
}

function simpleType(name: string): CelType {
  if (/^[A-Z]$/.test(name)) return typeParam(name);
  return SIMPLE.get(name) ?? named(OPAQUE.has(name) ? 'opaque' : 'struct', name);
}

/** At the commas that stand outside of parentheses. */
export function splitTypes(text: string): string[] {
  const parts: string[] = [];
  let [depth, from] = [0, 0];
  for (const [index, one] of Array.from(text).entries()) {
    if (one === '(') depth++;
    else if (one === ')') depth--;
    else if (one === ',' && depth === 0) {
      parts.push(text.slice(from, index).trim());
      from = index + 1;
    }
  }
  return text === '' ? [] : [...parts, text.slice(from).trim()];
}

/** As messages about operands show it. */
export function formatType(type: CelType): string {
  if (type.params.length === 0) return type.name;
  return `${type.name}(${type.params.map(formatType).join(', ')})`;
}

const RUNTIME_NAMES: ReadonlyMap<string, string> = new Map([
  ['timestamp', 'google.protobuf.Timestamp'],
  ['duration', 'google.protobuf.Duration'],
  ['null', 'null_type'],
]);

/** As messages about results show it. */
export function declaredName(type: CelType): string {
  const name = RUNTIME_NAMES.get(type.name) ?? type.name;
  if (type.kind === 'param') return `<${name}>`;
  return type.params.length === 0 ? name : `${name}(${type.params.map(declaredName).join(', ')})`;
}

export function sameType(a: CelType, b: CelType): boolean {
  if (a === b) return true;
  if (a.kind !== b.kind || a.name !== b.name || a.params.length !== b.params.length) return false;
  return a.params.every((param, index) => sameType(param, b.params[index] ?? DYN));
}
