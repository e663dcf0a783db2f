/** Go's text/template, as far as templates of answers use it: fields, pipelines, functions, if, with, range. */
export type Operand =
  | { readonly kind: 'literal'; readonly value: unknown }
  /** `.A.B` of the current value, `$.A` of the first one. */
  | { readonly kind: 'field'; readonly root: boolean; readonly path: readonly string[] }
  | { readonly kind: 'function'; readonly name: string }
  | { readonly kind: 'pipeline'; readonly pipeline: Pipeline; readonly path: readonly string[] };

/** The result of each command is the last argument of the next one. */
export type Pipeline = readonly (readonly Operand[])[];

export type TemplateNode =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'print'; readonly pipeline: Pipeline }
  | {
      readonly kind: 'if' | 'with' | 'range';
      readonly pipeline: Pipeline;
      readonly body: readonly TemplateNode[];
      readonly otherwise: readonly TemplateNode[];
    };

/** Thrown inside the parser only. */
class TemplateError extends Error {}

export type ParsedTemplate =
  | { readonly ok: true; readonly nodes: readonly TemplateNode[] }
  | { readonly ok: false; readonly reason: string };

/** Reads a template; `isFunction` says which names may be called. */
export function parseTemplate(text: string, isFunction: (name: string) => boolean): ParsedTemplate {
  try {
    const parts = splitActions(text);
    const parser = new TemplateParser(parts, isFunction);
    return { ok: true, nodes: parser.parse() };
  } catch (error) {
    if (error instanceof TemplateError) return { ok: false, reason: error.message };
    throw error;
  }
}

type Part = { readonly text: string } | { readonly action: string };

/** Texts and actions; `{{-` and `-}}` take the blanks beside them away. */
function splitActions(text: string): Part[] {
  const parts: Part[] = [];
  let rest = text;
  for (let open = rest.indexOf('{{'); open >= 0; open = rest.indexOf('{{')) {
    const close = rest.indexOf('}}', open);
    if (close < 0) throw new TemplateError('"{{" is never closed');
    let before = rest.slice(0, open);
    let action = rest.slice(open + 2, close);
    rest = rest.slice(close + 2);
    if (/^-\s/.test(action)) {
      before = before.trimEnd();
      action = action.slice(1);
    }
    if (/\s-$/.test(action)) {
      rest = rest.trimStart();
      action = action.slice(0, -1);
    }
    if (before !== '') parts.push({ text: before });
    if (!/^\s*\/\*[\s\S]*\*\/\s*$/.test(action)) parts.push({ action: action.trim() });
  }
  if (rest !== '') parts.push({ text: rest });
  return parts;
}

class TemplateParser {
  readonly #parts: readonly Part[];
  readonly #isFunction: (name: string) => boolean;
  #at = 0;

  constructor(parts: readonly Part[], isFunction: (name: string) => boolean) {
    this.#parts = parts;
    this.#isFunction = isFunction;
  }

  parse(): TemplateNode[] {
    const { nodes, ended } = this.#nodes(0);
    if (ended !== undefined) throw new TemplateError(`"${ended}" without a beginning`);
    return nodes;
  }

  /** Up to `end` or `else`, which is returned and left unread by nobody. */
  #nodes(depth: number): { nodes: TemplateNode[]; ended: string | undefined } {
    if (depth > DEPTH_MAX) throw new TemplateError(`actions are nested deeper than ${DEPTH_MAX}`);
    const nodes: TemplateNode[] = [];
    while (this.#at < this.#parts.length) {
      const part = this.#parts[this.#at++]!;
      if ('text' in part) {
        nodes.push({ kind: 'text', text: part.text });
        continue;
      }
      const { action } = part;
      if (action === 'end' || /^else\b/.test(action)) return { nodes, ended: action };
      const block = /^(if|with|range)\s+([\s\S]+)$/.exec(action);
      if (block) nodes.push(this.#block(block[1] as 'if', block[2]!, depth));
      else nodes.push({ kind: 'print', pipeline: this.#pipeline(action) });
    }
    return { nodes, ended: undefined };
  }

  #block(kind: 'if' | 'with' | 'range', condition: string, depth: number): TemplateNode {
    const pipeline = this.#pipeline(condition);
    const { nodes: body, ended } = this.#nodes(depth + 1);
    if (ended === undefined) throw new TemplateError(`"{{ ${kind} }}" has no "{{ end }}"`);
    if (ended === 'end') return { kind, pipeline, body, otherwise: [] };
    const again = /^else\s+(if|with)\s+([\s\S]+)$/.exec(ended);
    if (again) {
      return { kind, pipeline, body, otherwise: [this.#block(again[1] as 'if', again[2]!, depth + 1)] };
    }
    const otherwise = this.#nodes(depth + 1);
    if (otherwise.ended !== 'end') throw new TemplateError(`"{{ else }}" has no "{{ end }}"`);
    return { kind, pipeline, body, otherwise: otherwise.nodes };
  }

  #pipeline(text: string): Pipeline {
    const words = wordsOf(text);
    const { pipeline, at } = this.#commands(words, 0, 0);
    if (at < words.length) throw new TemplateError(`"${words[at]}" is not expected in "{{ ${text} }}"`);
    return pipeline;
  }

  #commands(words: readonly string[], start: number, depth: number): { pipeline: Pipeline; at: number } {
    if (depth > DEPTH_MAX) throw new TemplateError(`brackets are nested deeper than ${DEPTH_MAX}`);
    const commands: Operand[][] = [[]];
    let at = start;
    for (; at < words.length && words[at] !== ')'; at++) {
      const word = words[at]!;
      if (word === '|') commands.push([]);
      else if (word === '(') {
        const inner = this.#commands(words, at + 1, depth + 1);
        if (words[inner.at] !== ')') throw new TemplateError('"(" is never closed');
        const path = words[inner.at + 1]?.startsWith('.') ? fieldPath(words[inner.at + 1]!) : [];
        at = inner.at + (path.length > 0 ? 1 : 0);
        commands.at(-1)!.push({ kind: 'pipeline', pipeline: inner.pipeline, path });
      } else commands.at(-1)!.push(this.#operand(word));
    }
    if (commands.some((command) => command.length === 0)) throw new TemplateError('an action is empty');
    return { pipeline: commands, at };
  }

  #operand(word: string): Operand {
    const literal = literalOf(word);
    if (literal) return literal;
    if (word === '$' || word.startsWith('$.')) {
      return { kind: 'field', root: true, path: fieldPath(word.slice(1)) };
    }
    if (word.startsWith('.')) return { kind: 'field', root: false, path: fieldPath(word) };
    if (this.#isFunction(word)) return { kind: 'function', name: word };
    throw new TemplateError(`"${word}" is neither a field, a value nor a function`);
  }
}

const DEPTH_MAX = 32;

function literalOf(word: string): Operand | undefined {
  if (word === 'true' || word === 'false') return { kind: 'literal', value: word === 'true' };
  if (word === 'nil') return { kind: 'literal', value: undefined };
  if (/^[+-]?(\d+(\.\d+)?|0x[0-9a-f]+)$/i.test(word)) return { kind: 'literal', value: Number(word) };
  if (word.startsWith('`')) return { kind: 'literal', value: word.slice(1, -1) };
  if (!word.startsWith('"')) return undefined;
  try {
    return { kind: 'literal', value: JSON.parse(word) as string };
  } catch {
    throw new TemplateError(`${word} is not a string`);
  }
}

function fieldPath(word: string): string[] {
  const names = word.split('.').slice(1);
  if (names.length === 1 && names[0] === '') return [];
  if (!names.every((name) => /^\w+$/.test(name))) throw new TemplateError(`"${word}" is not a field`);
  return names;
}

function wordsOf(text: string): string[] {
  const pattern = /\s*("(?:[^"\\]|\\.)*"|`[^`]*`|[()|]|\.[\w.]*|[^\s()|"`]+)/gy;
  const words: string[] = [];
  let end = 0;
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    words.push(match[1]!);
    end = pattern.lastIndex;
  }
  if (text.slice(end).trim() !== '') throw new TemplateError(`"${text.slice(end).trim()}" cannot be read`);
  return words;
}
