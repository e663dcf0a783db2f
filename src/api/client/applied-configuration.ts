import { isObject } from '../kinds/json-value.ts';
import { MAX_ANNOTATIONS_BYTES } from '../kinds/limits.ts';
import type { KubeObject } from '../kinds/meta.ts';

const ANNOTATION = 'kubectl.kubernetes.io/last-applied-configuration';
const ESCAPED = /[<>&\u2028\u2029]/g;

/**
 * The object with the note by which `kubectl apply` knows what was applied last: the same text kubectl writes, so that
 * it finds nothing to change where nothing has changed. Objects too large for a note of themselves go without.
 */
export function withAppliedConfiguration(object: KubeObject): KubeObject {
  const { [ANNOTATION]: _, ...annotations } = object.metadata.annotations ?? {};
  const plain = { ...object, metadata: { ...object.metadata, annotations } };
  const note = `${goJson(plain)}\n`;
  if (Buffer.byteLength(note) > MAX_ANNOTATIONS_BYTES / 2) return object;
  return { ...plain, metadata: { ...plain.metadata, annotations: { ...annotations, [ANNOTATION]: note } } };
}

/** JSON as Go writes maps: keys in order of their text, characters of HTML escaped. */
function goJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goJson).join(',')}]`;
  if (!isObject(value)) return JSON.stringify(value ?? null).replace(ESCAPED, escaped);
  const keys = Object.keys(value).filter((key) => value[key] !== undefined);
  return `{${keys
    .toSorted()
    .map((key) => `${goJson(key)}:${goJson(value[key])}`)
    .join(',')}}`;
}

const escaped = (one: string): string => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`;
