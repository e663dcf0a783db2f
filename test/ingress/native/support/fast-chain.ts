import { defaultPolicy } from '../../../../ingress/compile/default-policy.ts';
import { defaultSettings } from '../../../../ingress/default-settings.ts';
import { ClientConnection } from '../../../../ingress/native/client-connection.ts';
import { TIMER_SLOTS, TIMER_TICK_MS } from '../../../../ingress/native/limits.ts';
import { COUNT, type SentRoute, type TableUpdate } from '../../../../ingress/native/messages.ts';
import { listenerFields } from '../../../../ingress/native/request-writer.ts';
import { WorkerContext } from '../../../../ingress/native/worker-context.ts';
import { Tallies } from '../../../../ingress/observe/tallies.ts';
import type { CorsPolicy, RoutePolicy } from '../../../../ingress/policy.ts';
import type { GlobalSettings } from '../../../../ingress/settings.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { EPOLL } from '../../../../src/net/native/abi.ts';
import { Acceptor } from '../../../../src/net/native/acceptor.ts';
import { Arena } from '../../../../src/net/native/arena.ts';
import { DescriptorTable } from '../../../../src/net/native/descriptor-table.ts';
import { EpollLoop } from '../../../../src/net/native/epoll-loop.ts';
import { WakeUp } from '../../../../src/net/native/event-fd.ts';
import { openStreamListener, type StreamListener } from '../../../../src/net/native/stream-listener.ts';
import { dialStream, socketName, StreamSocket } from '../../../../src/net/native/stream-socket.ts';
import { TimerWheel } from '../../../../src/net/native/timer-wheel.ts';
import { TurnClock } from '../../../../src/net/native/turn-clock.ts';
import { TlsSessions } from '../../../../src/net/native/tls-sessions.ts';

const HOST = '127.0.0.1';
const DESCRIPTORS_MAX = 4_096;
const MESSAGE_BYTES = 4_096;
const CLUSTER = 'shop/web:80';
const FIELDS = 'Host: web.test\r\nUser-Agent: chain\r\nAccept: */*\r\nCookie: a=1\r\n';
const BODY = 'x'.repeat(100);
const CORS: CorsPolicy = {
  origins: ['https://shop.test'],
  methods: 'GET',
  headers: '*',
  credentials: false,
  exposeHeaders: undefined,
  maxAgeSeconds: 60,
};
const CORS_FIELDS =
  'Access-Control-Allow-Origin: https://shop.test\r\nVary: Origin\r\nAccess-Control-Allow-Methods: GET\r\n' +
  'Access-Control-Allow-Headers: *\r\nAccess-Control-Max-Age: 60\r\n';
const ANSWER = `HTTP/1.1 200 OK\r\nServer: chain\r\nContent-Type: text/plain\r\n`;

/** What is asked, and what the endpoint answers: in one segment each. */
export interface ChainExchange {
  readonly request: string;
  readonly answer: string;
  /** What annotations ask for beside a plain relay. */
  readonly policy?: Partial<RoutePolicy>;
  /** What the client gets beside the answer. */
  readonly added?: string;
}

/** Served in place. */
export const plainExchanges: Readonly<Record<string, ChainExchange>> = {
  GET: {
    request: `GET /api/thing?x=1 HTTP/1.1\r\n${FIELDS}\r\n`,
    answer: `${ANSWER}Content-Length: 100\r\n\r\n${BODY}`,
  },
  'POST with a body': {
    request: `POST /api/thing HTTP/1.1\r\n${FIELDS}Content-Length: 100\r\n\r\n${BODY}`,
    answer: `${ANSWER}Content-Length: 100\r\n\r\n${BODY}`,
  },
  'an answer in chunks': {
    request: `GET /api/thing HTTP/1.1\r\n${FIELDS}\r\n`,
    answer: `${ANSWER}Transfer-Encoding: chunked\r\n\r\n64\r\n${BODY}\r\n0\r\n\r\n`,
  },
};

/** Read, judged and written by the portable engine's functions. */
export const composedExchanges: Readonly<Record<string, ChainExchange>> = {
  'GET, rewritten, with CORS': {
    request: `GET /api/thing?x=1 HTTP/1.1\r\n${FIELDS}Origin: https://shop.test\r\n\r\n`,
    answer: `${ANSWER}Content-Length: 100\r\n\r\n${BODY}`,
    policy: { rewriteTarget: '/x', cors: CORS },
    added: CORS_FIELDS,
  },
};

/** Clients, the engine's fast path and an endpoint in one loop and one thread, all by system calls and out of one arena. */
export class FastChain implements Disposable {
  answers = 0;
  readonly #descriptors = DescriptorTable.sized(DESCRIPTORS_MAX);
  readonly #wakeUp = WakeUp.open();
  readonly #loop: EpollLoop;
  readonly #context: WorkerContext;
  readonly #arena = new Arena(3 * MESSAGE_BYTES);
  readonly #scratch = this.#arena.allocate(MESSAGE_BYTES);
  readonly #exchange: ChainExchange;
  readonly #request: number;
  readonly #answer: number;
  readonly #acceptors: Acceptor[] = [];
  readonly #listeners: readonly StreamListener[];
  readonly #clients: StreamSocket[] = [];
  #asking = false;

  /** `clients` ask `endpoints` by turns. */
  constructor(exchange: ChainExchange, clients: number, endpoints: number) {
    this.#exchange = exchange;
    this.#request = this.#text(exchange.request);
    this.#answer = this.#text(exchange.answer);
    const clock = new TurnClock(systemClock);
    const timers = new TimerWheel(clock, { slots: TIMER_SLOTS, tickMs: TIMER_TICK_MS });
    this.#loop = EpollLoop.open({ descriptors: this.#descriptors, timers, wakeFd: this.#wakeUp.fd, clock });
    this.#context = new WorkerContext({
      loop: this.#loop,
      clock,
      sessions: TlsSessions.sized(DESCRIPTORS_MAX),
      counts: new Float64Array(COUNT.WORDS),
      tallies: new Tallies(),
      post: (message) => {
        throw new Error(`not served by the fast path: ${message.kind}`);
      },
    });
    const backends = Array.from({ length: endpoints }, () => this.#listen((stream) => this.#serve(stream)));
    const listener = { index: 0, port: 80, fields: listenerFields(80, 'http') };
    const door = this.#listen((stream) => {
      this.#context.opened();
      const release = (): number => stream.release();
      const from = { address: HOST, port: 4_711, listener, tls: undefined };
      ClientConnection.take(this.#context, { stream, release, ...from });
    });
    this.#listeners = [...backends, door];
    const { server, ...rest } = defaultSettings(false);
    const requestsMax = Number.MAX_SAFE_INTEGER;
    const settings = { ...rest, server: { ...server, requestsMax }, upstreamRequestsMax: requestsMax };
    this.#context.settings = settings;
    this.#context.table.update(tableTo(backends, settings, exchange.policy), systemClock.monotonicMs());
    for (let i = 0; i < clients; i++) this.#clients.push(this.#client(door.port));
  }

  /** So many requests on the kept connections, one at a time on each. */
  exchange(count: number): void {
    const end = this.answers + count - this.#clients.length;
    this.#asking = true;
    for (const client of this.#clients)
      client.send(this.#arena, this.#request, this.#exchange.request.length);
    while (this.answers < end) this.#turn();
    this.#asking = false;
    while (this.answers < end + this.#clients.length) this.#turn();
  }

  #turn(): void {
    this.#loop.turn();
    this.#context.turned();
  }

  [Symbol.dispose](): void {
    for (const acceptor of this.#acceptors) acceptor[Symbol.dispose]();
    for (const listener of this.#listeners) listener[Symbol.dispose]();
    this.#loop[Symbol.dispose]();
    this.#wakeUp[Symbol.dispose]();
  }

  #text(text: string): number {
    const at = this.#arena.allocate(MESSAGE_BYTES);
    this.#arena.bytes.set(Buffer.from(text), at);
    return at;
  }

  #listen(accepted: (stream: StreamSocket) => void): StreamListener {
    const listener = openStreamListener({ address: HOST, port: 0, backlog: 128, reusePort: false });
    const acceptor = new Acceptor(this.#loop, listener.fd, {
      accepted,
      failed: (failure) => {
        throw new Error(`accept: ${failure}`);
      },
    });
    this.#acceptors.push(acceptor);
    return listener;
  }

  #serve(stream: StreamSocket): void {
    this.#loop.add(stream, EPOLL.IN, {
      ready: () => {
        const size = stream.receive(this.#arena, this.#scratch, MESSAGE_BYTES);
        if (size > 0) stream.send(this.#arena, this.#answer, this.#exchange.answer.length);
        else stream.close();
      },
    });
  }

  #client(port: number): StreamSocket {
    const client = dialStream(this.#loop, socketName({ address: HOST, port }));
    if (!(client instanceof StreamSocket)) throw new Error(`dial: ${client}`);
    const { answer, added = '' } = this.#exchange;
    const whole = answer.length + added.length;
    let left = whole;
    this.#loop.add(client, EPOLL.IN, {
      ready: () => {
        const size = client.receive(this.#arena, this.#scratch, MESSAGE_BYTES);
        if (size <= 0) throw new Error(`no answer: ${size}`);
        left -= size;
        if (left > 0) return;
        left = whole;
        this.answers++;
        if (this.#asking) client.send(this.#arena, this.#request, this.#exchange.request.length);
      },
    });
    return client;
  }
}

function tableTo(
  backends: readonly StreamListener[],
  settings: GlobalSettings,
  policy: Partial<RoutePolicy> = {},
): TableUpdate {
  const route: SentRoute = {
    host: 'web.test',
    path: '/',
    pathType: 'Prefix',
    ingress: { namespace: 'shop', name: 'web' },
    target: {
      kind: 'service',
      backend: { namespace: 'shop', service: 'web', port: { number: 80 } },
      key: CLUSTER,
    },
    policy: { ...defaultPolicy(settings), ...policy },
    hostHasTls: false,
    acmeChallenge: false,
    id: 'shop/web web.test / Prefix',
    cluster: CLUSTER,
    regex: undefined,
    canary: undefined,
    canaryCluster: undefined,
    checkedBy: undefined,
  };
  return {
    kind: 'table',
    version: 1,
    settings,
    fast: true,
    hosts: [{ key: 'web.test', name: 'web.test', routes: [route], fallback: undefined, portable: false }],
    removed: [],
    catchAll: undefined,
    patterns: false,
    responseHeaders: [],
    clusters: [{ id: CLUSTER, addresses: backends.map(({ port }) => ({ host: HOST, port })) }],
  };
}
