import type { Fallthrough } from '../../fallthrough.ts';
import { expectArgs, readInteger, readOptions, readZones } from '../../corefile/options.ts';
import type { Line, Token } from '../../corefile/syntax.ts';
import type { Directive, SetupContext } from '../../plugin.ts';
import type { ExtendedError } from '../../query.ts';
import { compileRegex, readRegex, type UserRegex } from '../../user-regex.ts';
import { parseClass, parseRcode, parseType, type Rcode } from '../../wire/numbers.ts';
import type { Evaluate } from '../view/expression.ts';
import { isTemplateFunction } from './go-run.ts';
import { parseTemplate, type TemplateNode } from './go-syntax.ts';
import { expressionNames, readExpression, type MatchEnv } from './expressions.ts';
import { openTemplate } from './serve.ts';

/** `template CLASS TYPE [ZONES...] { match REGEX..., var NAME EXPR, expr EXPR, answer|additional|authority RR rcode CODE ederror CODE [TEXT] fallthrough [ZONES...] }`. */
export const template: Directive = {
  name: 'template',
  repeatable: true,
  setup(context) {
    const { stanza } = context;
    if (!expectArgs(context, stanza, 2, Infinity)) return undefined;
    const [classToken, typeToken, ...zones] = stanza.args;
    const recordClass = parseClass(classToken!.text);
    const type = parseType(typeToken!.text);
    if (!recordClass) context.fault(classToken!, `"${classToken!.text}" is not a class such as IN or ANY`);
    if (!type) context.fault(typeToken!, `"${typeToken!.text}" is not a record type or ANY`);
    const body = readBody(context);
    if (!recordClass || !type) return undefined;
    const served = zones.length > 0 ? readZones(context, zones) : [...context.block.zones];
    return (deps) => openTemplate(deps, { ...body, recordClass, type, zones: served });
  },
};

/** What makes one record. */
export interface RecordTemplate {
  readonly section: string;
  /** As it stands in the Corefile. */
  readonly source: string;
  readonly nodes: readonly TemplateNode[];
}

export interface TemplateBody {
  readonly matches: readonly UserRegex[];
  /** Values by name, in order: each may use those before it. */
  readonly variables: readonly { readonly name: string; readonly value: Evaluate<MatchEnv> }[];
  /** All must be true for a match. */
  readonly conditions: readonly Evaluate<MatchEnv>[];
  readonly answers: readonly RecordTemplate[];
  readonly authorities: readonly RecordTemplate[];
  readonly additionals: readonly RecordTemplate[];
  readonly rcode: Rcode;
  readonly extended: ExtendedError | undefined;
  /** Undefined = off; empty = every zone. */
  readonly fallthrough: Fallthrough;
}

function readBody(context: SetupContext): TemplateBody {
  const matches: Matching['matches'] = [];
  const variables: Matching['variables'] = [];
  const conditions: Matching['conditions'] = [];
  const sections = { answer: [], authority: [], additional: [] } as Record<string, RecordTemplate[]>;
  let rcode: Rcode = 'NOERROR';
  let extended: ExtendedError | undefined;
  let fallthrough: Fallthrough;
  const section = (line: Line): void => {
    if (!expectArgs(context, line, 1, Infinity)) return;
    const nodes = readTemplate(context, line.args);
    const source = line.args.map(({ text }) => text).join(' ');
    if (nodes) sections[line.name.text]!.push({ section: line.name.text, source, nodes });
  };
  readOptions(context, {
    ...matchReaders(context, { matches, variables, conditions }),
    answer: section,
    authority: section,
    additional: section,
    rcode: (line) => {
      if (!expectArgs(context, line, 1, 1)) return;
      const read = parseRcode(line.args[0]!.text);
      if (read) rcode = read;
      else context.fault(line.args[0]!, `"${line.args[0]!.text}" is not a response code such as NXDOMAIN`);
    },
    ederror: (line) => {
      if (!expectArgs(context, line, 1, Infinity)) return;
      const code = readInteger(context, line.args[0]!, 0, 0xffff);
      const text = line.args
        .slice(1)
        .map((token) => token.text)
        .join(' ');
      if (code !== undefined) extended = { code, text };
    },
    fallthrough: (line) => void (fallthrough = readZones(context, line.args)),
    upstream: () => {},
  });
  const any = compileRegex('.*');
  if (matches.length === 0 && 'test' in any) matches.push(any);
  const { answer, authority, additional } = sections;
  return {
    matches,
    variables,
    conditions,
    answers: answer!,
    authorities: authority!,
    additionals: additional!,
    rcode,
    extended,
    fallthrough,
  };
}

interface Matching {
  readonly matches: UserRegex[];
  readonly variables: { name: string; value: Evaluate<MatchEnv> }[];
  readonly conditions: Evaluate<MatchEnv>[];
}

/** `match`, `var` and `expr`: when the template applies, and what it knows then. */
function matchReaders(
  context: SetupContext,
  { matches, variables, conditions }: Matching,
): Record<string, (line: Line) => void> {
  const names = expressionNames();
  return {
    match: (line) => {
      if (!expectArgs(context, line, 1, Infinity)) return;
      for (const token of line.args)
        matches.push(...[readRegex(context, token)].filter((one) => one !== undefined));
    },
    var: (line) => {
      if (!expectArgs(context, line, 2, Infinity)) return;
      const [name, ...words] = line.args;
      const value = readExpression(context, words, names);
      if (!/^[A-Za-z_]\w*$/.test(name!.text) || Object.hasOwn(names, name!.text)) {
        context.fault(name!, `"${name!.text}" is not a name for a variable, or is taken`);
      } else if (value) {
        variables.push({ name: name!.text, value });
        names[name!.text] = { value: ({ variables: values }) => values[name!.text] };
      }
    },
    expr: (line) => {
      const condition = expectArgs(context, line, 1, Infinity)
        ? readExpression(context, line.args, names)
        : undefined;
      if (condition) conditions.push(condition);
    },
  };
}

function readTemplate(context: SetupContext, tokens: readonly Token[]): readonly TemplateNode[] | undefined {
  const parsed = parseTemplate(tokens.map((token) => token.text).join(' '), isTemplateFunction);
  if (parsed.ok) return parsed.nodes;
  context.fault(tokens[0]!, `the template cannot be read: ${parsed.reason}`);
  return undefined;
}
