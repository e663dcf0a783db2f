import { parseAddress } from '../../../src/net/ip.ts';
import { expectArgs, readInteger, readWord } from '../../corefile/options.ts';
import type { Token } from '../../corefile/syntax.ts';
import type { SetupContext } from '../../plugin.ts';
import { withRequest, type Query } from '../../query.ts';
import type { Edns, EdnsOption, Message } from '../../wire/message.ts';
import { EDNS_OPTION, typeNumber } from '../../wire/numbers.ts';
import type { RewriteRule } from './rule.ts';

const ACTIONS = ['set', 'append', 'replace', 'unset'] as const;
type Action = (typeof ACTIONS)[number];
const UDP_SIZE_BYTES = 1232;

interface OptionChange {
  readonly action: Action;
  readonly code: number;
  /** Undefined: the option cannot be made for this question. */
  readonly data: (query: Query) => Uint8Array | undefined;
  /** The option is taken out of the answer again. */
  readonly revert: boolean;
}

/** `edns0 local|nsid|subnet set|append|replace|unset ... [revert]`. */
export function readEdnsRule(
  context: SetupContext,
  words: readonly Token[],
  stop: boolean,
  field: Token,
): RewriteRule | undefined {
  const revert = words.at(-1)?.text === 'revert';
  const args = revert ? words.slice(0, -1) : words;
  if (!expectArgs(context, { name: field, args, body: undefined }, 2, 4)) return undefined;
  const kind = readWord(context, args[0]!, ['local', 'nsid', 'subnet']);
  const action = readWord(context, args[1]!, ACTIONS);
  if (!kind || !action) return undefined;
  const rest = args.slice(2);
  const made =
    kind === 'local'
      ? readLocal(context, rest, action, field)
      : kind === 'nsid'
        ? { code: EDNS_OPTION.NSID, data: () => new Uint8Array(0) }
        : readSubnet(context, rest, action, field);
  return made && ednsRule({ ...made, action, revert }, stop);
}

type Made = Pick<OptionChange, 'code' | 'data'>;

function readLocal(
  context: SetupContext,
  args: readonly Token[],
  action: Action,
  field: Token,
): Made | undefined {
  const wanted = action === 'unset' ? 1 : 2;
  if (args.length !== wanted) {
    context.fault(args[0] ?? field, `edns0 local ${action} takes a code${wanted > 1 ? ' and data' : ''}`);
    return undefined;
  }
  const code = Number(args[0]!.text);
  if (!Number.isInteger(code) || code < 0 || code > 0xffff) {
    context.fault(args[0]!, `"${args[0]!.text}" is not an option code such as 0xffee`);
    return undefined;
  }
  const data = args[1] ? readData(context, args[1]) : () => new Uint8Array(0);
  return data && { code, data };
}

/** `0x` octets, `{variable}` or the text itself. */
function readData(context: SetupContext, token: Token): OptionChange['data'] | undefined {
  const { text } = token;
  if (/^0x/i.test(text)) {
    const hex = text.slice(2);
    if (/^([0-9a-f]{2})+$/i.test(hex)) return () => Uint8Array.from(Buffer.from(hex, 'hex'));
    context.fault(token, `"${text}" is not an even number of hexadecimal digits`);
    return undefined;
  }
  const variable = /^\{([\w/.-]+)\}$/.exec(text)?.[1];
  if (variable === undefined) return () => Uint8Array.from(Buffer.from(text));
  if (!variable.includes('/') && !Object.hasOwn(VARIABLES, variable)) {
    const known = Object.keys(VARIABLES).map((name) => `{${name}}`);
    context.fault(token, `"${text}" is not one of ${known.join(', ')} or {plugin/fact}`);
    return undefined;
  }
  return VARIABLES[variable] ?? ((query) => textBytes(query.metadata.get(variable)?.() ?? ''));
}

const VARIABLES: Readonly<Record<string, OptionChange['data']>> = {
  qname: ({ question }) => textBytes(question.name),
  qtype: ({ question }) => u16(typeNumber(question.type)),
  client_ip: ({ client }) => parseAddress(client.address),
  client_port: ({ client }) => u16(client.port),
  protocol: ({ transport }) => textBytes(transport === 'udp' ? 'udp' : 'tcp'),
  server_ip: ({ server }) => parseAddress(server.address),
  server_port: ({ server }) => u16(server.port),
};

function textBytes(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text));
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

/** Client subnet (RFC 7871) from the client's address, cut to so many bits. */
function readSubnet(
  context: SetupContext,
  args: readonly Token[],
  action: Action,
  field: Token,
): Made | undefined {
  const code = EDNS_OPTION.CLIENT_SUBNET;
  if (action === 'unset') return { code, data: () => new Uint8Array(0) };
  if (args.length !== 2) {
    context.fault(args[0] ?? field, `edns0 subnet ${action} takes the bits of IPv4 and of IPv6`);
    return undefined;
  }
  const v4 = readInteger(context, args[0]!, 0, 32);
  const v6 = readInteger(context, args[1]!, 0, 128);
  if (v4 === undefined || v6 === undefined) return undefined;
  return { code, data: ({ client }) => subnetOf(client.address, v4, v6) };
}

function subnetOf(address: string, v4: number, v6: number): Uint8Array | undefined {
  const bytes = parseAddress(address);
  if (!bytes) return undefined;
  const bits = bytes.length === 4 ? v4 : v6;
  const kept = bytes.slice(0, Math.ceil(bits / 8));
  const spare = kept.length * 8 - bits;
  if (kept.length > 0) kept[kept.length - 1]! &= (0xff << spare) & 0xff;
  return Uint8Array.of(0, bytes.length === 4 ? 1 : 2, bits, 0, ...kept);
}

function ednsRule(change: OptionChange, stop: boolean): RewriteRule {
  const { code, revert } = change;
  return {
    stop,
    apply: (query) => {
      const before = query.request.edns;
      const options = changedOptions(before?.options ?? [], change, query);
      if (!options) return undefined;
      const edns: Edns = { udpSize: UDP_SIZE_BYTES, version: 0, dnssecOk: false, ...before, options };
      const rewritten = withRequest(query, { ...query.request, edns });
      if (!revert) return { query: rewritten };
      const old = before?.options.find((option) => option.code === code);
      return { query: rewritten, respond: (message) => reverted(message, code, old) };
    },
  };
}

/** Undefined: nothing fits, as `replace` of an option that is not there. */
function changedOptions(
  options: readonly EdnsOption[],
  { action, code, data }: OptionChange,
  query: Query,
): readonly EdnsOption[] | undefined {
  const has = options.some((option) => option.code === code);
  const others = options.filter((option) => option.code !== code);
  if (action === 'unset') return has ? others : undefined;
  if (action === 'replace' && !has) return undefined;
  const made = data(query);
  if (!made) return undefined;
  if (action === 'append') return has ? undefined : [...options, { code, data: made }];
  return [...others, { code, data: made }];
}

function reverted(message: Message, code: number, old: EdnsOption | undefined): Message {
  if (!message.edns) return message;
  const options = message.edns.options.filter((option) => option.code !== code);
  return { ...message, edns: { ...message.edns, options: old ? [...options, old] : options } };
}
