import type { ConnectionOptions } from 'node:tls';
import type { Clock } from '../../../src/base/clock.ts';
import { Fault } from '../../../src/base/fault.ts';
import { joinHostPort } from '../../../src/net/ip.ts';
import { decodeMessage } from '../../wire/decode.ts';
import { encodeMessage } from '../../wire/encode.ts';
import type { Message } from '../../wire/message.ts';
import { DohExchange } from './doh-exchange.ts';
import { mixCase, restoreCase, sameQuestion } from './question-case.ts';
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
  readonly maxIdle: number;
  readonly source: string | undefined;
}

/** UDP must answer within this; then the next upstream is asked. */
export const READ_TIMEOUT_MS = 2000;

export type AskTransport = 'udp' | 'tcp';

/** One resolver that questions are sent to, and what is known of its health. */
export class Upstream implements AsyncDisposable {
  readonly spec: UpstreamSpec;
  readonly label: string;
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
    const { expireMs, maxIdle, source } = options;
    if (scheme === 'https') {
      this.#doh = this.#stack.use(new DohExchange(dohOptions(spec, options)));
      return;
    }
    const to = { address, port };
    const tls = scheme === 'tls' ? tlsOptions(spec, options) : undefined;
    this.#stream = this.#stack.use(new StreamExchange(deps, { to, tls, source, expireMs, maxIdle }));
    if (scheme === 'dns') this.#udp = this.#stack.use(new UdpExchange(deps, to, source));
  }

  /**
   * Asks and returns the reply to exactly this question. Rejects with UPSTREAM_TIMEOUT, UPSTREAM_LIES (another
   * question answered over TCP or HTTPS), UPSTREAM_MALFORMED or the socket's error.
   */
  async ask(
    request: Message,
    transport: AskTransport,
    timeoutMs: number,
    signal: AbortSignal,
    used: (protocol: 'udp' | 'tcp' | 'https', reused: boolean) => void = () => {},
  ): Promise<Message> {
    const mixed = this.#udp && transport === 'udp' ? mixCase(request) : request;
    const bytes = encodeMessage(mixed);
    if (this.#udp && transport === 'udp') {
      const accept = (reply: Uint8Array): boolean => sameQuestion(reply, bytes);
      used('udp', false);
      return restoreCase(read(await this.#udp.ask(bytes, accept, timeoutMs, signal)), request);
    }
    const reply = this.#doh
      ? await this.#askDoh(bytes, timeoutMs, signal, used)
      : await this.#stream!.ask(bytes, timeoutMs, signal, (reused) => used('tcp', reused));
    const message = read(reply);
    if (!asksTheSame(message, request)) throw new Fault('UPSTREAM_LIES', 'the answer is to another question');
    return message;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack[Symbol.asyncDispose]();
  }

  async #askDoh(
    bytes: Uint8Array,
    timeoutMs: number,
    signal: AbortSignal,
    used: (protocol: 'https', reused: boolean) => void,
  ): Promise<Uint8Array> {
    used('https', false);
    return await this.#doh!.ask(bytes, timeoutMs, signal);
  }
}

function read(bytes: Uint8Array): Message {
  const decoded = decodeMessage(bytes);
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
  { tls, expireMs }: UpstreamOptions,
): ConstructorParameters<typeof DohExchange>[0] {
  const text = (value: unknown): string | undefined =>
    typeof value === 'string' || Buffer.isBuffer(value) ? value.toString() : undefined;
  return {
    url: spec.url!,
    ca: text(tls.ca),
    cert: text(tls.cert),
    key: text(tls.key),
    serverName: spec.serverName,
    expireMs,
  };
}
