import { cidrContains, parseCidr, type Cidr } from '../../../src/net/cidr.ts';
import type { Query } from '../../query.ts';
import { encodeMessage } from '../../wire/encode.ts';
import { opcodeNumber } from '../../wire/numbers.ts';
import { ExpressionError, type ExpressionFunction } from './expression.ts';

const UDP_PLAIN_BYTES = 512;
/** Networks remembered by their text; more than a Corefile names are read anew each time. */
const NETWORKS_KEPT = 256;

function fact(call: (query: Query) => unknown): ExpressionFunction<Query> {
  return { args: 0, call };
}

function ofTexts(args: number, call: (texts: readonly string[]) => unknown): ExpressionFunction<unknown> {
  return { args, call: (_env, values) => call(values.map(String)) };
}

const TEXT_FUNCTIONS: Readonly<Record<string, ExpressionFunction<unknown>>> = {
  replace: ofTexts(3, ([text, from, to]) => text!.replaceAll(from!, to!)),
  split: ofTexts(2, ([text, by]) => text!.split(by!)),
  trim: ofTexts(1, ([text]) => text!.trim()),
  hasPrefix: ofTexts(2, ([text, part]) => text!.startsWith(part!)),
  hasSuffix: ofTexts(2, ([text, part]) => text!.endsWith(part!)),
  string: ofTexts(1, ([text]) => text),
  int: ofTexts(1, ([text]) => {
    if (/^[+-]?\d{1,15}$/.test(text!)) return Number(text);
    throw new ExpressionError(`"${text}" is not a whole number`);
  }),
};

/** What an expression can ask of a question, under CoreDNS's names. */
export const VIEW_FUNCTIONS: Readonly<Record<string, ExpressionFunction<Query>>> = {
  bufsize: fact(({ request }) => request.edns?.udpSize ?? UDP_PLAIN_BYTES),
  class: fact(({ question }) => question.class),
  client_ip: fact(({ client }) => client.address),
  do: fact(({ request }) => request.edns?.dnssecOk ?? false),
  id: fact(({ request }) => request.id),
  name: fact(({ name }) => name),
  opcode: fact(({ request }) => opcodeNumber(request.opcode)),
  port: fact(({ client }) => String(client.port)),
  proto: fact(({ transport }) => (transport === 'udp' ? 'udp' : 'tcp')),
  server_ip: fact(({ server }) => server.address),
  server_port: fact(({ server }) => String(server.port)),
  size: fact(({ request }) => encodeMessage(request).length),
  type: fact(({ question }) => question.type),
  incidr: { args: 2, call: (_query, [address, network]) => inNetwork(address, network) },
  metadata: { args: 1, call: (query, [label]) => query.metadata.get(String(label))?.() ?? '' },
  len: { args: 1, call: (_query, [value]) => lengthOf(value) },
  ...TEXT_FUNCTIONS,
  lower: { args: 1, call: (_query, [value]) => String(value).toLowerCase() },
  upper: { args: 1, call: (_query, [value]) => String(value).toUpperCase() },
};

const networks = new Map<string, Cidr>();

function inNetwork(address: unknown, network: unknown): boolean {
  if (typeof address !== 'string' || typeof network !== 'string') {
    throw new ExpressionError('incidr() takes an address and a network');
  }
  let cidr = networks.get(network);
  if (!cidr) {
    cidr = parseCidr(network);
    if (!cidr) throw new ExpressionError(`"${network}" is not a network such as 10.0.0.0/8`);
    if (networks.size < NETWORKS_KEPT) networks.set(network, cidr);
  }
  return cidrContains(cidr, address);
}

function lengthOf(value: unknown): number {
  if (typeof value === 'string' || Array.isArray(value)) return value.length;
  throw new ExpressionError('len() takes a text or a list');
}
