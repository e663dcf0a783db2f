import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { encodeMessage } from '../../dns/wire/encode.ts';
import { questionOf } from '../dns/support/server.ts';
import { LatencyHistogram } from './latency-histogram.ts';
import { type Address, BODY } from './soak-world.ts';

/** An answer that comes later than this does not count as one. */
export const PATIENCE_MS = 30_000;
/** A datagram without an answer is sent once more, as resolvers do. */
const ASK_AGAIN_MS = 2_000;
const CONNECTIONS = 4;
const REQUEST = Buffer.from('GET /soak HTTP/1.1\r\nHost: soak.test\r\n\r\n');
/** In the head of an HTTP answer. */
const LAST_ANSWER = /^connection: close\r$/im;
const MESSAGE = Buffer.alloc(256, 'm');

/** How many questions had no right answer. */
export interface Failures {
  /** No answer in time. */
  lost: number;
  wrong: number;
}

/** Asks one question a call, and takes its answer whenever it comes: the load does not wait for the server. */
export interface SteadyClient extends Disposable {
  readonly name: string;
  readonly latency: LatencyHistogram;
  readonly failures: Readonly<Failures>;
  readonly sent: number;
  /** Datagrams that were sent once more. */
  readonly askedAgain: number;
  /** Questions that may still be answered. */
  readonly pending: number;
  ask(): void;
}

export function steadyClients(at: { dns: Address; http: Address; tcp: Address }): readonly SteadyClient[] {
  return [
    new DnsClient(at.dns),
    new StreamClient('ingress', at.http, REQUEST, httpAnswer),
    new StreamClient('proxy', at.tcp, MESSAGE, (text) =>
      text.length >= MESSAGE.length ? MESSAGE.length : 0,
    ),
  ];
}

class DnsClient implements SteadyClient {
  readonly name = 'dns';
  readonly latency = new LatencyHistogram();
  readonly failures: Failures = { lost: 0, wrong: 0 };
  sent = 0;
  askedAgain = 0;
  readonly #socket: DatagramSocket = createSocket('udp4');
  readonly #at: Address;
  readonly #question = encodeMessage(questionOf('echo.shop.svc.cluster.local A'));
  readonly #asked = new Map<number, { readonly ms: number; again: boolean }>();

  constructor(at: Address) {
    this.#at = at;
    this.#socket.on('message', (bytes) => this.#answered(bytes));
    this.#socket.on('error', () => {}); // the answer is missing
  }

  get pending(): number {
    return this.#asked.size;
  }

  ask(): void {
    const now = performance.now();
    this.#askAgain(now);
    const id = this.sent++ & 0xffff;
    if (this.#asked.has(id)) this.failures.lost++; // nobody answered the one before under this number
    this.#asked.set(id, { ms: now, again: false });
    this.#send(id);
  }

  /** They stand in the order of their time. */
  #askAgain(now: number): void {
    for (const [id, asked] of this.#asked) {
      if (now - asked.ms < ASK_AGAIN_MS) return;
      if (asked.again) continue;
      asked.again = true;
      this.askedAgain++;
      this.#send(id);
    }
  }

  #send(id: number): void {
    const question = Buffer.from(this.#question);
    question.writeUInt16BE(id, 0);
    this.#socket.send(question, this.#at.port, this.#at.host);
  }

  #answered(bytes: Buffer): void {
    const id = bytes.readUInt16BE(0);
    const asked = this.#asked.get(id);
    if (asked === undefined) return;
    this.#asked.delete(id);
    const tookMs = performance.now() - asked.ms;
    if (bytes.readUInt16BE(6) !== 1) this.failures.wrong++;
    else if (tookMs > PATIENCE_MS) this.failures.lost++;
    else this.latency.add(tookMs);
  }

  [Symbol.dispose](): void {
    this.failures.lost += this.#asked.size;
    this.#socket.close();
  }
}

/** Kept connections in turn; one at a time on each. */
class StreamClient implements SteadyClient {
  readonly name: string;
  readonly latency = new LatencyHistogram();
  readonly failures: Failures = { lost: 0, wrong: 0 };
  readonly askedAgain = 0;
  sent = 0;
  readonly #connections: StreamConnection[];

  constructor(name: string, at: Address, question: Buffer, answerBytes: (text: string) => number) {
    this.name = name;
    this.#connections = Array.from(
      { length: CONNECTIONS },
      () => new StreamConnection(at, question, answerBytes, this),
    );
  }

  get pending(): number {
    return this.#connections.reduce((sum, { pending }) => sum + pending, 0);
  }

  ask(): void {
    this.#connections[this.sent++ % CONNECTIONS]!.ask();
  }

  [Symbol.dispose](): void {
    for (const connection of this.#connections) connection[Symbol.dispose]();
  }
}

class StreamConnection implements Disposable {
  readonly #at: Address;
  readonly #question: Buffer;
  readonly #answerBytes: (text: string) => number;
  readonly #told: { readonly latency: LatencyHistogram; readonly failures: Failures };
  #socket: Socket | undefined;
  #askedMs: number[] = [];
  #text = '';
  #isLast = false;

  constructor(at: Address, question: Buffer, answerBytes: (text: string) => number, told: StreamClient) {
    this.#at = at;
    this.#question = question;
    this.#answerBytes = answerBytes;
    this.#told = told;
  }

  get pending(): number {
    return this.#askedMs.length;
  }

  ask(): void {
    this.#socket ??= this.#connect();
    this.#askedMs.push(performance.now());
    this.#socket.write(this.#question);
  }

  [Symbol.dispose](): void {
    this.#told.failures.lost += this.#askedMs.length;
    this.#askedMs = [];
    this.#socket?.destroy();
  }

  #connect(): Socket {
    const socket = connect({ host: this.#at.host, port: this.#at.port, noDelay: true });
    socket.on('data', (chunk) => this.#hear(chunk.toString('latin1')));
    socket.on('error', () => {});
    socket.on('close', () => this.#closed());
    return socket;
  }

  /** What was asked behind the answer that the server called its last is asked again (RFC 9112 section 9.6). */
  #closed(): void {
    this.#socket = undefined;
    this.#text = '';
    if (!this.#isLast) {
      this.#told.failures.lost += this.#askedMs.length;
      this.#askedMs = [];
    }
    if (this.#askedMs.length > 0) this.#socket = this.#connect();
    for (const _ of this.#askedMs) this.#socket?.write(this.#question);
    this.#isLast = false;
  }

  #hear(text: string): void {
    this.#text += text;
    for (let size = this.#answerBytes(this.#text); size !== 0; size = this.#answerBytes(this.#text)) {
      this.#isLast ||= LAST_ANSWER.test(this.#text.slice(0, size));
      this.#text = this.#text.slice(Math.abs(size));
      const tookMs = performance.now() - (this.#askedMs.shift() ?? 0);
      if (size < 0) this.#told.failures.wrong++;
      else if (tookMs > PATIENCE_MS) this.#told.failures.lost++;
      else this.#told.latency.add(tookMs);
    }
  }
}

/** Length of the answer at the start of text, negative for a wrong one; 0: it is not whole. */
function httpAnswer(text: string): number {
  const body = text.indexOf('\r\n\r\n') + 4;
  if (body < 4 || text.length < body + BODY.length) return 0;
  const isRight = text.startsWith('HTTP/1.1 200') && text.startsWith(BODY, body);
  return isRight ? body + BODY.length : -text.length;
}
