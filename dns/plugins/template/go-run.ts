import { Fault } from '../../../src/base/fault.ts';
import type { Operand, Pipeline, TemplateNode } from './go-syntax.ts';

/** More output than a message can hold is a mistake of the template. */
const OUTPUT_CHARACTERS = 65_535;

/** Runs a template over data. Throws Fault TEMPLATE_FAILED when a field, argument or index is not there. */
export function runTemplate(nodes: readonly TemplateNode[], data: unknown): string {
  return run(nodes, { dot: data, root: data });
}

interface Scope {
  readonly dot: unknown;
  readonly root: unknown;
}

function run(nodes: readonly TemplateNode[], scope: Scope): string {
  let out = '';
  for (const node of nodes) {
    if (node.kind === 'text') out += node.text;
    else if (node.kind === 'print') out += textOf(valueOf(node.pipeline, scope));
    else out += runBlock(node, scope);
    if (out.length > OUTPUT_CHARACTERS) throw failed('the template writes too much');
  }
  return out;
}

function runBlock(node: Extract<TemplateNode, { body: unknown }>, scope: Scope): string {
  const value = valueOf(node.pipeline, scope);
  if (!isTrue(value)) return run(node.otherwise, scope);
  if (node.kind === 'if') return run(node.body, scope);
  if (node.kind === 'with') return run(node.body, { ...scope, dot: value });
  const items = Array.isArray(value) ? (value as unknown[]) : Object.values(value as object);
  return items.map((dot) => run(node.body, { ...scope, dot })).join('');
}

function valueOf(pipeline: Pipeline, scope: Scope): unknown {
  let piped: readonly unknown[] = [];
  for (const command of pipeline) piped = [commandValue(command, piped, scope)];
  return piped[0];
}

function commandValue(command: readonly Operand[], piped: readonly unknown[], scope: Scope): unknown {
  const [first, ...rest] = command;
  const args = [...rest.map((operand) => operandValue(operand, scope)), ...piped];
  const value = first?.kind === 'function' ? FUNCTIONS[first.name] : operandValue(first!, scope);
  if (typeof value === 'function') return (value as (...args: unknown[]) => unknown)(...args);
  if (args.length > 0) throw failed('a value that is no function has arguments');
  return value;
}

function operandValue(operand: Operand, scope: Scope): unknown {
  switch (operand.kind) {
    case 'literal':
      return operand.value;
    case 'function':
      return FUNCTIONS[operand.name]!();
    case 'field':
      return follow(operand.root ? scope.root : scope.dot, operand.path);
    case 'pipeline':
      return follow(valueOf(operand.pipeline, scope), operand.path);
  }
}

function follow(from: unknown, path: readonly string[]): unknown {
  let value = from;
  for (const name of path) {
    const known = typeof value === 'object' && value !== null && Object.hasOwn(value, name);
    if (!known) throw failed(`there is no field ${name}`);
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value;
}

function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return value !== '' && value !== 0 && value !== false && value !== undefined;
}

function textOf(value: unknown): string {
  if (value === undefined) return '<no value>';
  if (Array.isArray(value)) return `[${value.map(textOf).join(' ')}]`;
  if (typeof value === 'object' && value !== null) {
    const pairs = Object.entries(value).map(([key, one]) => `${key}:${textOf(one)}`);
    return `map[${pairs.join(' ')}]`;
  }
  if (typeof value === 'string') return value;
  return typeof value === 'function' ? '<function>' : JSON.stringify(value);
}

type TemplateFunction = (...args: unknown[]) => unknown;

/** The functions of text/template that make sense for answers, and CoreDNS's parseInt. */
const FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  index: (value, ...keys) => keys.reduce(indexed, value),
  len: (value) =>
    typeof value === 'string' || Array.isArray(value) ? value.length : Object.keys(value ?? {}).length,
  slice: (value, from = 0, to) => {
    if (typeof value !== 'string' && !Array.isArray(value)) throw failed('slice needs text or a list');
    return value.slice(Number(from), to === undefined ? undefined : Number(to));
  },
  print: (...values) => values.map(textOf).join(''),
  printf: (format, ...values) => printf(String(format), values),
  eq: (a, ...others) => others.some((b) => a === b),
  ne: (a, b) => a !== b,
  lt: (a, b) => compare(a, b) < 0,
  le: (a, b) => compare(a, b) <= 0,
  gt: (a, b) => compare(a, b) > 0,
  ge: (a, b) => compare(a, b) >= 0,
  and: (...values) => values.find((value) => !isTrue(value)) ?? values.at(-1),
  or: (...values) => values.find(isTrue) ?? values.at(-1),
  not: (value) => !isTrue(value),
  urlquery: (...values) => encodeURIComponent(values.map(textOf).join('')).replaceAll('%20', '+'),
  parseInt: (text, base, bits) => parseUnsigned(String(text), Number(base ?? 10), Number(bits ?? 64)),
};

export function isTemplateFunction(name: string): boolean {
  return Object.hasOwn(FUNCTIONS, name);
}

function indexed(value: unknown, key: unknown): unknown {
  if (Array.isArray(value)) {
    const at = Number(key);
    if (!Number.isInteger(at) || at < 0 || at >= value.length)
      throw failed(`index ${textOf(key)} is out of range`);
    return value[at];
  }
  if (typeof value !== 'object' || value === null) throw failed('index needs a list or a map');
  return Object.hasOwn(value, String(key)) ? (value as Record<string, unknown>)[String(key)] : '';
}

function compare(a: unknown, b: unknown): number {
  if (typeof a !== typeof b || (typeof a !== 'number' && typeof a !== 'string')) {
    throw failed('only numbers and texts can be compared');
  }
  return a === b ? 0 : (a as string) < (b as string) ? -1 : 1;
}

function parseUnsigned(text: string, base: number, bits: number): number {
  const digits = '0123456789abcdefghijklmnopqrstuvwxyz'.slice(0, base);
  const valid = text !== '' && Array.from(text.toLowerCase()).every((char) => digits.includes(char));
  const value = valid ? Number.parseInt(text, base) : Number.NaN;
  if (!(value < 2 ** bits)) throw failed(`"${text}" is not a number of base ${base} and ${bits} bits`);
  return value;
}

function printf(format: string, values: readonly unknown[]): string {
  let at = 0;
  return format.replace(
    /%(-?)(0?)(\d{0,3})([a-zA-Z%])/g,
    (all, left: string, zero: string, width: string, verb: string) => {
      if (verb === '%') return '%';
      if (at >= values.length) throw failed(`printf has too few values for ${all}`);
      const text = formatted(verb, values[at++]);
      const size = Number(width || 0);
      return left ? text.padEnd(size) : text.padStart(size, zero ? '0' : ' ');
    },
  );
}

function formatted(verb: string, value: unknown): string {
  switch (verb) {
    case 's':
    case 'v':
      return textOf(value);
    case 'd':
      return String(Math.trunc(Number(value)));
    case 'q':
      return JSON.stringify(textOf(value));
    case 'x':
    case 'X': {
      const hex = typeof value === 'number' ? value.toString(16) : Buffer.from(textOf(value)).toString('hex');
      return verb === 'X' ? hex.toUpperCase() : hex;
    }
    default:
      throw failed(`printf does not know %${verb}`);
  }
}

function failed(reason: string): Fault {
  return new Fault('TEMPLATE_FAILED', reason);
}
