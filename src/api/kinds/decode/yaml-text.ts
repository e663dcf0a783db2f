import { Composer, isAlias, Lexer, LineCounter, Parser, visit, type CST, type Document } from 'yaml';
import { MAX_BODY_DEPTH, MAX_YAML_ALIASES, MAX_YAML_BODY_CHARACTERS } from '../limits.ts';
import { type Parsed, parseJson } from './json-text.ts';
import type { StrictErrors } from './strict-errors.ts';

/** One document of a YAML text, with the 1-based line it starts on. */
export type YamlDocument = { readonly line: number } & (
  | { readonly ok: true; readonly value: unknown; readonly duplicates: readonly string[] }
  | { readonly ok: false; readonly message: string }
);

/**
 * Parses every document with YAML 1.1 scalars (yes, on and 0o17 are what they were in 2005: Kubernetes reads
 * them so). Alias expansion and nesting are bounded. Empty documents are left out.
 */
export function parseYamlDocuments(text: string): YamlDocument[] {
  return [...documentsOf(text)];
}

/** Dates and base-60 numbers stay text, as Go's YAML reads them. */
const TEXT_TAGS: ReadonlySet<string> = new Set(['TIME', 'timestamp']);

/** Node's stack would end the composer's recursion some thousand levels later, after seconds of a long text. */
class TooDeep extends Error {}

function* documentsOf(text: string): Generator<YamlDocument> {
  const lines = new LineCounter();
  const composer = new Composer({
    version: '1.1',
    uniqueKeys: false,
    merge: true,
    stringKeys: true,
    customTags: (tags) =>
      tags.filter((tag) => {
        if (typeof tag === 'string') return !TEXT_TAGS.has(tag);
        return tag.tag !== 'tag:yaml.org,2002:timestamp' && !('format' in tag && tag.format === 'TIME');
      }),
  });
  try {
    for (const document of composer.compose(tokensOf(text, lines))) {
      const { line } = lines.linePos(document.contents?.range[0] ?? document.range[0]);
      const read = readDocument(document, lines);
      if (!read.ok || (read.value !== null && read.value !== undefined)) yield { ...read, line };
    }
  } catch (error) {
    if (!(error instanceof TooDeep)) throw error;
    yield { ok: false, message: `yaml: ${error.message}`, line: 1 };
  }
}

/** Each level of a document is a few tokens under construction; what is far over the bound is not built at all. */
function* tokensOf(text: string, lines: LineCounter): Generator<CST.Token> {
  const parser = new Parser(lines.addNewLine);
  lines.addNewLine(0);
  for (const lexeme of new Lexer().lex(text)) {
    yield* parser.next(lexeme);
    if (parser.stack.length > MAX_BODY_DEPTH * 2) {
      throw new TooDeep(`exceeded max depth of ${MAX_BODY_DEPTH}`);
    }
  }
  yield* parser.end();
}

/**
 * The single document of a request body. JSON is YAML, and most of what calls itself YAML: it is read as such, in a
 * thirtieth of the time.
 */
export function parseYaml(text: string, errors: StrictErrors): Parsed {
  if (/^\s*\{/.test(text)) {
    const parsed = parseJson(text, errors);
    if (parsed.ok) return parsed;
  }
  if (text.length > MAX_YAML_BODY_CHARACTERS) {
    const message = `yaml: the text is longer than ${MAX_YAML_BODY_CHARACTERS} characters; send it as JSON`;
    return { ok: false, message };
  }
  let first: YamlDocument | undefined;
  for (const document of documentsOf(text)) {
    if (first) return { ok: false, message: 'yaml: only one document is allowed' };
    first = document;
  }
  if (!first) return { ok: true, value: null };
  if (!first.ok) return first;
  for (const path of first.duplicates) errors.duplicateField(path);
  return first;
}

function readDocument(
  document: Document.Parsed,
  lines: LineCounter,
): { ok: true; value: unknown; duplicates: string[] } | { ok: false; message: string } {
  const [error] = document.errors;
  if (error) {
    const { line, col } = lines.linePos(error.pos[0]);
    return { ok: false, message: `yaml: ${error.message} at line ${line}, column ${col}:` };
  }
  const seen = inspect(document);
  if (seen.aliases > MAX_YAML_ALIASES)
    return { ok: false, message: 'yaml: document contains excessive aliasing' };
  if (seen.depth > MAX_BODY_DEPTH) {
    return { ok: false, message: `yaml: exceeded max depth of ${MAX_BODY_DEPTH}` };
  }
  try {
    const value: unknown = document.toJS({ maxAliasCount: MAX_YAML_ALIASES });
    return { ok: true, value: plain(value, 0), duplicates: seen.duplicates };
  } catch (failure) {
    return { ok: false, message: `yaml: ${failure instanceof Error ? failure.message : String(failure)}` };
  }
}

function inspect(document: Document.Parsed): { aliases: number; depth: number; duplicates: string[] } {
  let aliases = 0;
  let depth = 0;
  const duplicates: string[] = [];
  visit(document, (_key, node, path) => {
    depth = Math.max(depth, path.length);
    if (isAlias(node)) aliases += 1;
    return depth > MAX_BODY_DEPTH * 2 || aliases > MAX_YAML_ALIASES ? visit.BREAK : undefined;
  });
  visit(document, {
    Map(_key, node) {
      const keys = new Set<string>();
      for (const { key } of node.items) {
        const name = String(key);
        if (keys.has(name)) duplicates.push(name);
        keys.add(name);
      }
    },
  });
  return { aliases, depth: Math.ceil(depth / 2), duplicates };
}

/** JSON data only: dates become text, other objects of the parser plain ones. Shared nodes are copied. */
function plain(value: unknown, depth: number): unknown {
  if (depth > MAX_BODY_DEPTH) throw new Error(`exceeded max depth of ${MAX_BODY_DEPTH}`);
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map((one) => plain(one, depth + 1));
  if (value instanceof Set) return [...value].map((one) => plain(one, depth + 1));
  if (typeof value !== 'object' || value === null) return value;
  const entries = value instanceof Map ? [...value] : Object.entries(value);
  return Object.fromEntries(entries.map(([key, one]) => [String(key), plain(one, depth + 1)]));
}
