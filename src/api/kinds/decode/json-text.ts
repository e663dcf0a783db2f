import { messageOf } from '../../../base/fault.ts';
import { MAX_BODY_DEPTH } from '../limits.ts';
import { jsonSyntaxError } from './json-syntax.ts';
import type { StrictErrors } from './strict-errors.ts';

export type Parsed =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly message: string };

/**
 * Parses JSON text, tells duplicate fields with their path and refuses deep nesting. The engine's parser makes
 * the value (last duplicate wins); this scan only looks at structure, so it may trust that the text is valid.
 */
export function parseJson(text: string, errors: StrictErrors): Parsed {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { ok: false, message: jsonSyntaxError(text) ?? messageOf(error) };
  }
  if (scan(text, errors)) return { ok: true, value };
  return { ok: false, message: `exceeded max depth of ${MAX_BODY_DEPTH}` };
}

/** A JSON value's type, in Go's words. */
export function goType(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

interface Level {
  /** Keys seen, undefined in an array. */
  readonly keys: Set<string> | undefined;
  /** Path of the value being read inside this level. */
  segment: string;
  index: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** False when nesting is too deep. */
function scan(text: string, errors: StrictErrors): boolean {
  const levels: Level[] = [];
  let expectKey = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = stringEnd(text, at);
      const level = levels.at(-1);
      if (expectKey && level?.keys) noteKey(text.slice(at, end + 1), level, levels, errors);
      expectKey = false;
      at = end;
    } else if (code === 0x7b || code === 0x5b) {
      if (levels.length >= MAX_BODY_DEPTH) return false;
      const object = code === 0x7b;
      levels.push({ keys: object ? new Set() : undefined, segment: object ? '' : '[0]', index: 0 });
      expectKey = object;
    } else if (code === 0x7d || code === 0x5d) {
      levels.pop();
      expectKey = false;
    } else if (code === 0x2c) {
      const level = levels.at(-1);
      expectKey = level?.keys !== undefined;
      if (level && !level.keys) level.segment = `[${++level.index}]`;
    }
  }
  return true;
}

/** Index of the closing quote. */
function stringEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) at += 1;
    else if (code === QUOTE) return at;
  }
  return text.length;
}

function noteKey(quoted: string, level: Level, levels: readonly Level[], errors: StrictErrors): void {
  const key = quoted.includes('\\') ? (JSON.parse(quoted) as string) : quoted.slice(1, -1);
  level.segment = key;
  if (level.keys?.has(key)) errors.duplicateField(pathOf(levels));
  level.keys?.add(key);
}

function pathOf(levels: readonly Level[]): string {
  let path = '';
  for (const level of levels) {
    path +=
      level.segment.startsWith('[') && !level.keys ? level.segment : `${path ? '.' : ''}${level.segment}`;
  }
  return path;
}
