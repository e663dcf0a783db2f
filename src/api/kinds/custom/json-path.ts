import { isObject } from '../json-value.ts';

type Step =
  | { readonly type: 'field'; readonly name: string }
  | { readonly type: 'index'; readonly index: number }
  | { readonly type: 'all' }
  | {
      readonly type: 'filter';
      readonly path: readonly Step[];
      readonly equal: boolean;
      readonly value: unknown;
    };

/** A parsed JSONPath: finds values in an object, never throws. */
export type JsonPath = (object: unknown) => unknown[];

const FIELD = /^\.((?:[^.[\\]|\\.)+)/;
const QUOTED = /^\[\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*\]/;
const INDEX = /^\[\s*(-?\d{1,9})\s*\]/;
const ALL = /^(?:\[\s*\*\s*\]|\.\*)/;
const FILTER = /^\[\?\(\s*@((?:\.[\w-]+)+)\s*(==|!=)\s*('[^']*'|"[^"]*"|-?[\d.]+|true|false)\s*\)\]/;

/**
 * The part of kubectl's JSONPath that printer columns and selectable fields use: `.a.b`, `['a.b']`, `[0]`, `[*]`,
 * `[?(@.type=="Ready")]`. Undefined when it is none of that.
 */
export function parseJsonPath(text: string): JsonPath | undefined {
  const steps = parseSteps(text);
  return steps && ((object) => walk([object], steps));
}

function parseSteps(text: string): Step[] | undefined {
  const steps: Step[] = [];
  let rest = text.trim();
  while (rest !== '' && rest !== '.') {
    const next = parseStep(rest);
    if (!next) return undefined;
    steps.push(next.step);
    rest = rest.slice(next.length);
  }
  return steps;
}

function parseStep(rest: string): { step: Step; length: number } | undefined {
  const all = ALL.exec(rest);
  if (all) return { step: { type: 'all' }, length: all[0].length };
  const field = FIELD.exec(rest);
  if (field) return { step: { type: 'field', name: unescape(field[1] ?? '') }, length: field[0].length };
  const quoted = QUOTED.exec(rest);
  if (quoted) {
    const name = unescape(quoted[1] ?? quoted[2] ?? '');
    return { step: { type: 'field', name }, length: quoted[0].length };
  }
  const index = INDEX.exec(rest);
  if (index) return { step: { type: 'index', index: Number(index[1]) }, length: index[0].length };
  const filter = FILTER.exec(rest);
  if (!filter) return undefined;
  const path = parseSteps(filter[1] ?? '');
  if (!path) return undefined;
  const step: Step = { type: 'filter', path, equal: filter[2] === '==', value: literal(filter[3] ?? '') };
  return { step, length: filter[0].length };
}

const unescape = (text: string): string => text.replace(/\\(.)/g, '$1');

function literal(text: string): unknown {
  if (/^['"]/.test(text)) return text.slice(1, -1);
  if (text === 'true' || text === 'false') return text === 'true';
  return Number(text);
}

function walk(values: unknown[], steps: readonly Step[]): unknown[] {
  let found = values;
  for (const step of steps) found = found.flatMap((value) => take(value, step));
  return found;
}

function take(value: unknown, step: Step): unknown[] {
  switch (step.type) {
    case 'field':
      return isObject(value) && Object.hasOwn(value, step.name) ? [value[step.name]] : [];
    case 'index': {
      const item = Array.isArray(value) ? (value as unknown[]).at(step.index) : undefined;
      return item === undefined ? [] : [item];
    }
    case 'all':
      if (Array.isArray(value)) return value as unknown[];
      return isObject(value) ? Object.values(value) : [];
    case 'filter': {
      const items = Array.isArray(value) ? (value as unknown[]) : [];
      return items.filter((item) => {
        const [first] = walk([item], step.path);
        return first !== undefined && (first === step.value) === step.equal;
      });
    }
  }
}
