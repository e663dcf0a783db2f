import { expectArgs, readInteger, readOptions, readZones } from '../../corefile/options.ts';
import type { Line, Token } from '../../corefile/syntax.ts';
import type { Directive, ExtendedError, SetupContext } from '../../plugin.ts';
import { compileRegex, readRegex, type UserRegex } from '../../user-regex.ts';
import { parseClass, parseRcode, parseType, type Rcode } from '../../wire/numbers.ts';
import { isTemplateFunction } from './go-run.ts';
import { parseTemplate, type TemplateNode } from './go-syntax.ts';
import { openTemplate } from './serve.ts';

/** `template CLASS TYPE [ZONES...] { match REGEX... answer|additional|authority RR rcode CODE ederror CODE [TEXT] fallthrough [ZONES...] }`. */
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

export interface TemplateBody {
  readonly matches: readonly UserRegex[];
  readonly answers: readonly (readonly TemplateNode[])[];
  readonly authorities: readonly (readonly TemplateNode[])[];
  readonly additionals: readonly (readonly TemplateNode[])[];
  readonly rcode: Rcode;
  readonly extended: ExtendedError | undefined;
  /** Undefined = off; empty = every zone. */
  readonly fallthrough: readonly string[] | undefined;
}

function readBody(context: SetupContext): TemplateBody {
  const matches: UserRegex[] = [];
  const sections = { answer: [], authority: [], additional: [] } as Record<
    string,
    (readonly TemplateNode[])[]
  >;
  let rcode: Rcode = 'NOERROR';
  let extended: ExtendedError | undefined;
  let fallthrough: readonly string[] | undefined;
  const section = (line: Line): void => {
    if (!expectArgs(context, line, 1, Infinity)) return;
    const nodes = readTemplate(context, line.args);
    if (nodes) sections[line.name.text]!.push(nodes);
  };
  readOptions(context, {
    match: (line) => {
      if (!expectArgs(context, line, 1, Infinity)) return;
      for (const token of line.args)
        matches.push(...[readRegex(context, token)].filter((one) => one !== undefined));
    },
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
    answers: answer!,
    authorities: authority!,
    additionals: additional!,
    rcode,
    extended,
    fallthrough,
  };
}

function readTemplate(context: SetupContext, tokens: readonly Token[]): readonly TemplateNode[] | undefined {
  const parsed = parseTemplate(tokens.map((token) => token.text).join(' '), isTemplateFunction);
  if (parsed.ok) return parsed.nodes;
  context.fault(tokens[0]!, `the template cannot be read: ${parsed.reason}`);
  return undefined;
}
