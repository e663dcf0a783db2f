/**
 * Reads the struct declarations of Kubernetes' Go API packages. They are the only published source of what
 * the protobuf wire needs beside field numbers: which fields are pointers (an absent value differs from zero),
 * which structs are embedded (flattened in JSON) and which JSON fields are left out when empty.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface GoField {
  /** JSON name; '' for an embedded struct that JSON flattens. */
  readonly json: string;
  readonly type: GoType;
  readonly omitEmpty: boolean;
  /** Even an empty struct is left out. */
  readonly omitZero: boolean;
  /** Protobuf field number, 0 when the field is not on the wire. */
  readonly number: number;
  /** The JSON text of a `+default=` marker. */
  readonly default: string | undefined;
}

export interface GoType {
  readonly pointer: boolean;
  readonly list: boolean;
  readonly map: boolean;
  /** Go scalar, or `core/v1.Container`, after aliases of scalars are resolved. */
  readonly base: string;
}

export type GoStructs = ReadonlyMap<string, readonly GoField[]>;

const SPECIAL_TYPES: Readonly<Record<string, string>> = {
  'meta/v1.Time': 'time',
  'meta/v1.MicroTime': 'microtime',
  'meta/v1.Duration': 'duration',
  'meta/v1.FieldsV1': 'fieldsv1',
  'runtime.RawExtension': 'rawextension',
  'resource.Quantity': 'quantity',
  'intstr.IntOrString': 'intstr',
  'types.UID': 'string',
  'types.NodeName': 'string',
  'apiextensions/v1.JSON': 'rawjson',
  'apiextensions/v1.JSONSchemaPropsOrArray': 'schemaorarray',
  'apiextensions/v1.JSONSchemaPropsOrBool': 'schemaorbool',
  'apiextensions/v1.JSONSchemaPropsOrStringArray': 'schemaorstrings',
};

const FIELD = /^\t(?:([A-Za-z0-9]+)\s+)?(\S+)\s+`json:"([^"]*)"(?:[^`]*protobuf:"([^"]*)")?/;

/** @param roots folders: kubernetes/api, then the apis folders of apimachinery and apiextensions. */
export function readGoStructs(api: string, apimachinery: string, apiextensions: string): GoStructs {
  const aliases = new Map<string, string>();
  const texts: { pack: string; text: string }[] = [];
  for (const group of readdirSync(api)) {
    for (const version of ['v1', 'v2']) collect(join(api, group, version), `${group}/${version}`, texts);
  }
  collect(join(apimachinery, 'pkg/apis/meta/v1'), 'meta/v1', texts);
  collect(join(apiextensions, 'pkg/apis/apiextensions/v1'), 'apiextensions/v1', texts);
  for (const { pack, text } of texts) readAliases(pack, text, aliases);
  const structs = new Map<string, GoField[]>();
  for (const { pack, text } of texts) readStructs(pack, text, aliases, structs);
  return structs;
}

function collect(folder: string, pack: string, texts: { pack: string; text: string }[]): void {
  if (!existsSync(folder)) return;
  for (const file of readdirSync(folder)) {
    if (!/^types.*\.go$/.test(file) || file.endsWith('_test.go')) continue;
    texts.push({ pack, text: readFileSync(join(folder, file), 'utf8') });
  }
}

function readAliases(pack: string, text: string, aliases: Map<string, string>): void {
  const imports = readImports(text);
  for (const match of text.matchAll(/^type (\w+) (?!struct|interface)(\S+)$/gm)) {
    aliases.set(`${pack}.${match[1]}`, qualify(match[2] ?? '', pack, imports));
  }
}

function readImports(text: string): Map<string, string> {
  const imports = new Map<string, string>();
  for (const match of text.matchAll(/^(?:import)?\s+(?:(\w+) )?"(k8s\.io\/[^"]+)"$/gm)) {
    const path = match[2] ?? '';
    const last = path.slice(path.lastIndexOf('/') + 1);
    const versioned = /([^/]+\/v\d[^/]*)$/.exec(path);
    imports.set(match[1] ?? last, versioned?.[1] ?? last);
  }
  return imports;
}

/** Puts the package in front of every named type inside a Go type expression. */
function qualify(type: string, pack: string, imports: ReadonlyMap<string, string>): string {
  return type.replace(/([A-Za-z0-9_]+)(?:\.([A-Za-z0-9_]+))?/g, (whole, first: string, second?: string) => {
    if (whole === 'map') return whole;
    if (second) return `${imports.get(first) ?? first}.${second}`;
    return /^[a-z]/.test(first) ? first : `${pack}.${first}`;
  });
}

function readStructs(
  pack: string,
  text: string,
  aliases: ReadonlyMap<string, string>,
  structs: Map<string, GoField[]>,
): void {
  const imports = readImports(text);
  for (const match of text.matchAll(/^type (\w+) struct ?\{\}/gm)) structs.set(`${pack}.${match[1]}`, []);
  for (const match of text.matchAll(/^type (\w+) struct \{\n([\s\S]*?)^\}/gm)) {
    const fields: GoField[] = [];
    let marker: string | undefined;
    for (const line of (match[2] ?? '').split('\n')) {
      marker = /^\t\/\/ \+default=(.*)$/.exec(line)?.[1] ?? marker;
      const field = FIELD.exec(line);
      if (!field) continue;
      const added = readField(field, marker, (type) => resolve(qualify(type, pack, imports), aliases));
      if (added) fields.push(added);
      marker = undefined;
    }
    structs.set(`${pack}.${match[1]}`, fields);
  }
}

function readField(
  match: RegExpExecArray,
  marker: string | undefined,
  resolveType: (type: string) => GoType,
): GoField | undefined {
  const [name = '', ...options] = (match[3] ?? '').split(',');
  if (name === '-') return undefined;
  const number = Number((match[4] ?? '').split(',')[1] ?? 0) || 0;
  const json = options.includes('inline') ? '' : name;
  return {
    json,
    type: resolveType(match[2] ?? ''),
    omitEmpty: options.includes('omitempty') || options.includes('omitzero'),
    omitZero: options.includes('omitzero'),
    number,
    default: marker?.startsWith('ref(') ? undefined : marker,
  };
}

function resolve(expression: string, aliases: ReadonlyMap<string, string>): GoType {
  const pointer = expression.startsWith('*');
  const rest = pointer ? expression.slice(1) : expression;
  if (rest === '[]byte') return { pointer, list: false, map: false, base: 'bytes' };
  const map = /^map\[[^\]]+\](.*)$/.exec(rest);
  if (map) return { ...resolve(map[1] ?? '', aliases), pointer, map: true };
  if (rest.startsWith('[]')) return { ...resolve(rest.slice(2), aliases), pointer, list: true };
  const special = SPECIAL_TYPES[rest];
  if (special) return { pointer, list: false, map: false, base: special };
  const alias = aliases.get(rest);
  if (alias === undefined) return { pointer, list: false, map: false, base: rest };
  // A named slice (ExtraValue) is a message {items = 1} on the wire and a bare array in JSON.
  if (alias === '[]string') return { pointer, list: false, map: false, base: 'stringlist' };
  return { ...resolve(alias, aliases), pointer };
}
