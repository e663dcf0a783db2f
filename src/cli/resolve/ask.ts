import { readFileSync } from 'node:fs';
import { Packet, UDPClient } from 'dns2';
import { decodeMessage } from '../../../dns/wire/decode.ts';
import { queryMessage, type Message } from '../../../dns/wire/message.ts';
import { EDNS_OPTION, type RecordType } from '../../../dns/wire/numbers.ts';
import { Upstream } from '../../../dns/plugins/forward/upstream.ts';
import { systemClock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import { familyOf, joinHostPort } from '../../net/ip.ts';
import { EXIT_FAILURE, EXIT_USAGE, ExitError } from '../context.ts';

export type AskTransport = 'udp' | 'tcp' | 'tls' | 'https';

export interface AskTarget {
  readonly address: string;
  readonly port: number;
  readonly transport: AskTransport;
  /** PEM file of authorities to trust instead of the system's. */
  readonly caFile: string | undefined;
  /** Name the server's certificate must hold; default the address. */
  readonly serverName: string | undefined;
}

/** Somebody who answers one question. */
export interface Asker extends AsyncDisposable {
  /** Where the answers come from, for people. */
  readonly label: string;
  ask(name: string, type: RecordType): Promise<Message>;
}

const ANSWER_DEADLINE_MS = 5000;
const UDP_SIZE_BYTES = 1232;

/**
 * Asks a server: over UDP with dns2's client; over TCP, TLS or HTTPS, for types that dns2 does not know, for
 * truncated answers, and for the reason of a failure (RFC 8914), which needs EDNS, with our own exchange.
 */
export function openAsker(target: AskTarget, signal: AbortSignal): Asker {
  const { address, port, transport } = target;
  const upstream = openUpstream(target);
  const udp = UDPClient({
    dns: address,
    port,
    socketType: familyOf(address) === 'IPv6' ? 'udp6' : 'udp4',
    timeout: ANSWER_DEADLINE_MS,
    retryOverTCP: false,
  });
  const viaStream = async (name: string, type: RecordType): Promise<Message> =>
    await upstream.ask(ednsQuery(name, type), 'tcp', ANSWER_DEADLINE_MS, signal);
  const viaUdp = async (name: string, type: RecordType): Promise<Message> => {
    if (!Object.hasOwn(Packet.TYPE, type) || type === 'ANY') {
      const reply = await upstream.ask(ednsQuery(name, type), 'udp', ANSWER_DEADLINE_MS, signal);
      return reply.truncated ? await viaStream(name, type) : reply;
    }
    const packet = await udp(name, type);
    const read = decodeMessage(packet.toBuffer());
    const unclear = !read.ok || read.message.truncated || isFailure(read.message);
    return unclear ? await viaStream(name, type) : read.message;
  };
  return {
    label: `${joinHostPort(address, port)} over ${transport}`,
    ask: async (name, type) => {
      try {
        return await (transport === 'udp' ? viaUdp(name, type) : viaStream(name, type));
      } catch (error) {
        throw unreachable(target, error);
      }
    },
    [Symbol.asyncDispose]: () => upstream[Symbol.asyncDispose](),
  };
}

function ednsQuery(name: string, type: RecordType): Message {
  const edns = { udpSize: UDP_SIZE_BYTES, version: 0, dnssecOk: false, options: [] };
  return queryMessage({ name, type, class: 'IN' }, { edns });
}

function openUpstream({ address, port, transport, caFile, serverName }: AskTarget): Upstream {
  const scheme = transport === 'tls' || transport === 'https' ? transport : 'dns';
  const url = scheme === 'https' ? `https://${joinHostPort(address, port)}/dns-query` : undefined;
  const tls = caFile === undefined ? {} : { ca: readCa(caFile) };
  return new Upstream(
    { clock: systemClock },
    { scheme, address, port, serverName, url },
    { tls, expireMs: ANSWER_DEADLINE_MS, maxAgeMs: 0, maxIdle: 1, dohMethod: 'POST', source: undefined },
  );
}

function readCa(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ExitError(EXIT_USAGE, `--ca ${path}: ${messageOf(error)}`);
  }
}

function isFailure({ rcode }: Message): boolean {
  return rcode !== 'NOERROR' && rcode !== 'NXDOMAIN';
}

function unreachable({ address, port, transport }: AskTarget, error: unknown): ExitError {
  const reason = messageOf(error).replace(/; if the root CA .*$/, '');
  const hint = /certificate|altnames/i.test(reason)
    ? 'Trust its authority with --ca FILE; say whose certificate it shows with --server-name NAME.'
    : 'Is DNS running there? Start `weft up`, or name a server with --server.';
  return new ExitError(
    EXIT_FAILURE,
    `no answer from ${joinHostPort(address, port)} over ${transport}: ${reason}. ${hint}`,
  );
}

/** The reason a server gave for its answer (RFC 8914), as `code text`. */
export function extendedReason({ edns }: Message): string | undefined {
  const option = edns?.options.find(({ code }) => code === EDNS_OPTION.EDE);
  if (!option || option.data.length < 2) return undefined;
  const code = (option.data[0]! << 8) | option.data[1]!;
  return `${code} ${Buffer.from(option.data.subarray(2)).toString('utf8')}`.trim();
}
