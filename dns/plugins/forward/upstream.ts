import type { ConnectionOptions } from 'node:tls';
import type { Clock } from '../../../src/base/clock.ts';
import { Fault } from '../../../src/base/fault.ts';
import { joinHostPort } from '../../../src/net/ip.ts';
import type { UpstreamExchange } from '../../plugin.ts';
import type { Peer } from '../../query.ts';
import { decodeMessage } from '../../wire/decode.ts';
import { encodeMessage } from '../../wire/encode.ts';
import type { Message } from '../../wire/message.ts';
import { DohExchange } from './doh-exchange.ts';
import { isBareError, mixCase, restoreCase, sameQuestion } from './question-case.ts';
import { StreamExchange } from './stream-exchange.ts';
import { UdpExchange } from './udp-exchange.ts';

/** An address of the TO list. */
export interface UpstreamSpec {
  readonly scheme: 'dns' | 'tls' | 'https';
  readonly address: string;
  readonly port: number;
  /** Of TLS certificates; from `%name` or tls_servername. */
  readonly serverName: string | undefined;
  /** Of https. */
  readonly url: string | undefined;
}

export interface UpstreamOptions {
  readonly tls: ConnectionOptions;
  readonly expireMs: number;
  readonly maxAgeMs: number;
  readonly maxIdle: number;
  readonly source: string | undefined;
  readonly dohMethod: 'GET' | 'POST';
}

/** An upstream must answer within this, unless read_timeout says otherwise; then the next is asked. */
export const READ_TIMEOUT_MS = 2000;

export type AskTransport = 'udp' | 'tcp';

/** How a question went out. */
export interface Sending extends Pick<UpstreamExchange, 'protocol' | 'local' | 'requestBytes'> {
  /** An open connection was used again. */
  readonly reused: boolean;
}

/** One resolver that questions are sent to, and what is known of its health. */
export class Upstream implements AsyncDisposable {
  readonly spec: UpstreamSpec;
  readonly label: string;
  readonly peer: Peer;
  readonly #udp: UdpExchange | undefined;
  readonly #stream: StreamExchange | undefined;
  readonly #doh: DohExchange | undefined;
  readonly #stack = new AsyncDisposableStack();
  /** Failed health checks in a row. */
  failures = 0;
  checking = false;

  constructor(deps: { clock: Clock }, spec: UpstreamSpec, options: UpstreamOptions) {
    this.spec = spec;
    const { address, port, scheme } = spec;
    this.label = spec.url ?? (scheme === 'tls' ? 'tls://' : '') + joinHostPort(address, port);
    this.peer = { address, port };
    const { expireMs, maxAgeMs, maxIdle, source } = options;
    if (scheme === 'https') {
      this.#doh = this.#stack.use(new DohExchange(dohOptions(spec, options)));
      return;
    }
    const to = this.peer;
    const tls = scheme === 'tls' ? tlsOptions(spec, options) : undefined;
    const stream = { to, tls, source, expireMs, maxAgeMs, maxIdle };
    this.#stream = this.#stack.use(new StreamExchange(deps, stream));
    if (scheme === 'dns') this.#udp = this.#stack.use(new UdpExchange(deps, to, source));
  }

  /**
   * Asks and returns the reply to exactly this question. Rejects with UPSTREAM_TIMEOUT, UPSTREAM_LIES (another
   * question answered over TCP or HTTPS), UPSTREAM_ERROR (an error and no question), UPSTREAM_MALFORMED or the socket's
   * error.
   */
  async ask(
    request: Message,
    transport: AskTransport,
    timeoutMs: number,
    signal: AbortSignal,
    sends: (sending: Sending) => void = () => {},
  ): Promise<Message> {
    const mixed = this.#udp && transport === 'udp' ? mixCase(request) : request;
    const bytes = encodeMessage(mixed);
    if (this.#udp && transport === 'udp') {
      const accept = (reply: Uint8Array): boolean => sameQuestion(reply, bytes) || isBareError(reply);
      const from = (local: Peer): void =>
        sends({ protocol: 'udp', reused: false, local, requestBytes: bytes });
      return restoreCase(read(await this.#udp.ask(bytes, accept, timeoutMs, signal, from)), request);
    }
    const message = read(await this.#askReliably(bytes, timeoutMs, signal, sends));
    if (!asksTheSame(message, request)) throw new Fault('UPSTREAM_LIES', 'the answer is to another question');
    return message;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }

  async #askReliably(
    bytes: Uint8Array,
    timeoutMs: number,
    signal: AbortSignal,
    sends: (sending: Sending) => void,
  ): Promise<Uint8Array> {
    if (this.#doh) {
      sends({ protocol: 'https', reused: false, local: undefined, requestBytes: bytes });
      return await this.#doh.ask(bytes, timeoutMs, signal);
    }
    const protocol = this.spec.scheme === 'tls' ? 'tcp-tls' : 'tcp';
    const used = (reused: boolean, local: Peer): void =>
      sends({ protocol, reused, local, requestBytes: bytes });
    return await this.#stream!.ask(bytes, timeoutMs, signal, used);
  }
}

function read(bytes: Uint8Array): Message {
  const decoded = decodeMessage(bytes);
  if (decoded.ok && decoded.message.questions.length === 0 && decoded.message.rcode !== 'NOERROR') {
    throw new Fault('UPSTREAM_ERROR', `the answer is ${decoded.message.rcode} without a question`);
  }
  if (decoded.ok) return decoded.message;
  throw new Fault('UPSTREAM_MALFORMED', `the answer cannot be read: ${decoded.reason}`);
}

function asksTheSame({ response, questions }: Message, request: Message): boolean {
  const [asked] = request.questions;
  const [answered] = questions;
  return (
    response &&
    questions.length === 1 &&
    asked?.type === answered?.type &&
    asked?.class === answered?.class &&
    asked?.name.toLowerCase() === answered?.name.toLowerCase()
  );
}

function tlsOptions({ serverName, address }: UpstreamSpec, options: UpstreamOptions): ConnectionOptions {
  return {
    ALPNProtocols: ['dot'],
    ...options.tls,
    servername: serverName ?? (isName(address) ? address : ''),
  };
}

function isName(address: string): boolean {
  return !/^[\d.]+$/.test(address) && !address.includes(':');
}

function dohOptions(
  spec: UpstreamSpec,
  { tls, expireMs, dohMethod }: UpstreamOptions,
): ConstructorParameters<typeof DohExchange>[0] {
  const text = (value: unknown): string | undefined =>
    typeof value === 'string' || Buffer.isBuffer(value) ? value.toString() : undefined;
  return {
    url: spec.url!,
    ca: text(tls.ca),
    cert: text(tls.cert),
    key: text(tls.key),
    serverName: spec.serverName,
    method: dohMethod,
    expireMs,
  };
}
