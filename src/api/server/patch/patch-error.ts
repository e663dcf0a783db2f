import { invalid as fieldInvalid } from '../../kinds/field-error.ts';
import { isObject, textOf } from '../../kinds/json-value.ts';
import { invalid, StatusError } from '../status.ts';

/** `Pod in version "v1" cannot be handled as a Pod: why`. */
const CANNOT_BE_HANDLED = /^\S+ in version "[^"]*" cannot be handled as a \S+: ([^]*)$/;
const UNMARSHAL = /^json: cannot unmarshal (\w+)(?: \S+)? into Go struct field \S+ of type (\S+)$/;
const GO_KINDS: Readonly<Record<string, string>> = { array: 'slice', number: 'int64', object: 'map' };

/**
 * What upstream answers when the patched document is none of its kind: 422 on the field `patch`. A strategic
 * patch is shown itself and judged by Go's reflection; other patches are told by the document they made.
 */
export function patchError(error: unknown, strategic: boolean, shown: unknown): unknown {
  if (!(error instanceof StatusError) || error.code !== 400) return error;
  const why = CANNOT_BE_HANDLED.exec(error.message)?.[1];
  if (why === undefined) return error;
  const value = strategic ? goText(shown) : JSON.stringify(shown);
  const wrong = fieldInvalid('patch', value, strategic ? reflected(why) : why);
  return invalid({ group: '', kind: '' }, '', [wrong]);
}

function reflected(why: string): string {
  const match = UNMARSHAL.exec(why);
  if (!match) return why;
  const [, word = '', type = ''] = match;
  const from = GO_KINDS[word] ?? word;
  if (type.startsWith('[]')) return `cannot restore slice from ${from}`;
  if (type.startsWith('map[')) return `cannot restore map from ${from}`;
  return type.includes('.') ? `cannot restore struct from: ${from}` : `unrecognized type: ${type}`;
}

/** JSON data as Go's %v prints it: maps in the order of their keys. */
function goText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`;
  if (!isObject(value)) return value === null ? '<nil>' : textOf(value);
  const names = Object.keys(value).sort();
  return `map[${names.map((name) => `${name}:${goText(value[name])}`).join(' ')}]`;
}
