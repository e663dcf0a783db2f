import {
  type Document,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node as YamlNode,
  parseAllDocuments,
  type Tags,
} from 'yaml';
import { messageOf } from '../../base/fault.ts';
import type { KubeObject } from '../kinds/meta.ts';
import { MAX_YAML_ALIASES } from './limits.ts';

export interface ManifestObject {
  readonly object: KubeObject;
  /** Path, or `-` for standard input. */
  readonly file: string;
  /** Line, from 1, where a field (`spec.ports[0].port`) is written; of the deepest part of it that is. */
  readonly lineOf: (field: string) => number;
}

export interface ManifestError {
  readonly file: string;
  readonly line: number;
  /** Path of the field at fault, '' when it is the whole document. */
  readonly field: string;
  readonly message: string;
}

export interface Manifests {
  readonly objects: readonly ManifestObject[];
  readonly errors: readonly ManifestError[];
}

/** `file:line: field: message`, for people. */
export function formatManifestError(error: ManifestError): string {
  return `${error.file}:${error.line}: ${error.field ? `${error.field}: ` : ''}${error.message}`;
}

/**
 * The objects of a YAML stream or a JSON text (a `List` counts as its items). YAML is read as Kubernetes does:
 * 1.1 booleans, but no timestamps and no sexagesimal numbers. A fault costs its document, not the others.
 */
export function parseManifests(text: string, file: string): Manifests {
  const objects: ManifestObject[] = [];
  const errors: ManifestError[] = [];
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    version: '1.1',
    lineCounter: lines,
    customTags: kubernetesTags,
    logLevel: 'silent',
    prettyErrors: false,
  });
  if (!Array.isArray(documents)) return { objects, errors };
  const reader: Reader = { file, lines, objects, errors };
  for (const document of documents as Document.Parsed[]) readDocument(document, reader);
  return { objects, errors };
}

interface Reader {
  readonly file: string;
  readonly lines: LineCounter;
  readonly objects: ManifestObject[];
  readonly errors: ManifestError[];
}

const DROPPED_TAGS = new Set(['tag:yaml.org,2002:timestamp', 'tag:yaml.org,2002:binary']);

function kubernetesTags(tags: Tags): Tags {
  return tags.filter(
    (tag) =>
      typeof tag === 'string' ||
      (!DROPPED_TAGS.has(tag.tag) && (tag as { format?: string }).format !== 'TIME'),
  );
}

function readDocument(document: Document.Parsed, reader: Reader): void {
  const [first] = document.errors;
  if (first) {
    const { line } = reader.lines.linePos(first.pos[0]);
    reader.errors.push({ file: reader.file, line, field: '', message: first.message });
    return;
  }
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) return;
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: MAX_YAML_ALIASES });
  } catch (error) {
    const line = lineOf(document.contents, reader);
    reader.errors.push({ file: reader.file, line, field: '', message: messageOf(error) });
    return;
  }
  readValue(value, document.contents, '', reader);
}

function readValue(value: unknown, node: unknown, path: string, reader: Reader): void {
  if (isList(value)) {
    const items = isMap(node) ? node.get('items', true) : undefined;
    for (const [i, item] of value.items.entries()) {
      const itemNode = isSeq(items) ? items.items[i] : node;
      readValue(item, itemNode, `${path}items[${i}].`, reader);
    }
    return;
  }
  const fault = shapeFault(value);
  if (fault) {
    const line = lineOf(fieldNode(node, fault.field) ?? node, reader);
    reader.errors.push({ file: reader.file, line, field: path + fault.field, message: fault.message });
    return;
  }
  reader.objects.push({
    object: value as KubeObject,
    file: reader.file,
    lineOf: (field) => lineOf(fieldNode(node, field) ?? node, reader),
  });
}

function isList(value: unknown): value is { items: unknown[] } {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, items, metadata } = value as {
    kind?: unknown;
    items?: unknown;
    metadata?: { name?: unknown };
  };
  return typeof kind === 'string' && kind.endsWith('List') && Array.isArray(items) && !metadata?.name;
}

/** What keeps a value from being a Kubernetes object at all; its kind's own rules are the server's. */
function shapeFault(value: unknown): { field: string; message: string } | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { field: '', message: `must be an object with apiVersion, kind and metadata` };
  }
  const { apiVersion, kind, metadata } = value as { [field: string]: unknown };
  if (typeof apiVersion !== 'string' || !apiVersion) return required('apiVersion', apiVersion);
  if (typeof kind !== 'string' || !kind) return required('kind', kind);
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
    return required('metadata', metadata);
  }
  const { name, namespace, generateName } = metadata as { [field: string]: unknown };
  if (typeof name !== 'string' || !name) {
    if (name === undefined && typeof generateName === 'string' && generateName) return undefined;
    return required('metadata.name', name);
  }
  if (namespace !== undefined && typeof namespace !== 'string')
    return required('metadata.namespace', namespace);
  return mapFault('labels', metadata) ?? mapFault('annotations', metadata);
}

function mapFault(name: string, metadata: object): { field: string; message: string } | undefined {
  const map = (metadata as Record<string, unknown>)[name];
  if (map === undefined || map === null) return undefined;
  if (typeof map !== 'object' || Array.isArray(map)) return required(`metadata.${name}`, map);
  for (const [key, value] of Object.entries(map)) {
    if (typeof value === 'string') continue;
    const text = JSON.stringify(value);
    return { field: `metadata.${name}.${key}`, message: `must be a string, not ${text}; put it in quotes` };
  }
  return undefined;
}

function required(field: string, value: unknown): { field: string; message: string } {
  if (value === undefined || value === null || value === '') return { field, message: 'is required' };
  return { field, message: `has the wrong type: ${JSON.stringify(value)}` };
}

function fieldNode(node: unknown, field: string): unknown {
  let at = node;
  for (const part of field.match(/[^.[\]]+/g) ?? []) {
    const next: unknown = isMap(at) ? at.get(part, true) : isSeq(at) ? at.get(Number(part), true) : undefined;
    if (!isNode(next)) break;
    at = next;
  }
  return at;
}

function lineOf(node: unknown, { lines }: Reader): number {
  const range = isNode(node) ? (node as YamlNode).range : undefined;
  return range ? lines.linePos(range[0]).line : 1;
}
