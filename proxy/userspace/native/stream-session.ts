import type { EndpointAddressPort } from '../../../endpoints/node-view.ts';
import { EPOLL } from '../../../src/net/native/abi.ts';
import type { EpollLoop, ReadyHandler } from '../../../src/net/native/epoll-loop.ts';
import type { SocketAddress } from '../../../src/net/native/socket-address.ts';
import { localAddressOf } from '../../../src/net/native/socket-options.ts';
import { dialStream, type StreamSocket } from '../../../src/net/native/stream-socket.ts';
import { WheelTimer } from '../../../src/net/native/timer-wheel.ts';
import type { EndpointCounters } from '../counters.ts';
import { type ClientDeps, type Dial, DialLadder } from '../dial-ladder.ts';
import { proxyHeader } from '../proxy-protocol.ts';
import { type Session, sweepsOf } from '../session-table.ts';
import { endpointName } from './endpoint-name.ts';
import { Flow, type FlowDeps } from './flow.ts';

const EVENTS = EPOLL.IN | EPOLL.PRI | EPOLL.OUT | EPOLL.RDHUP | EPOLL.EDGE;
const READABLE = EPOLL.IN | EPOLL.PRI | EPOLL.RDHUP | EPOLL.HUP;
/** Read until nothing comes: see Flow. */
const THOROUGH = EPOLL.PRI | EPOLL.RDHUP | EPOLL.HUP;

export interface StreamSessionDeps {
  /** What all sessions of a thread share. */
  readonly thread: FlowDeps & { readonly loop: EpollLoop };
  readonly client: ClientDeps;
  readonly clientPort: number;
}

/**
 * What TcpSession is on node:net, on system calls: dials endpoints in turn until one answers, then passes bytes both
 * ways. Each side may finish sending on its own (half-close); an abort of one side aborts the other.
 */
export class StreamSession implements Session {
  touched = true;
  idleSweeps = 0;
  idleSweepsMax: number;
  readonly #deps: StreamSessionDeps;
  readonly #client: StreamSocket;
  readonly #ladder: DialLadder;
  readonly #inward: Flow;
  #outward: Flow | undefined;
  #upstream: StreamSocket | undefined;
  #dial: Dial | undefined;
  #endpoint: EndpointCounters | undefined;
  #timer: WheelTimer | undefined;
  #isDeferred = false;

  constructor(deps: StreamSessionDeps, client: StreamSocket) {
    this.#deps = deps;
    this.#client = client;
    const { context, port } = deps.client;
    this.#ladder = new DialLadder(deps.client);
    this.#inward = new Flow(deps.thread, client);
    this.idleSweepsMax = sweepsOf(context.limits.tcpIdleSeconds);
    context.tcp.add(this);
    port.counters.connections++;
    port.counters.active++;
  }

  /** `candidates`: the endpoints this client may reach now. */
  start(candidates: readonly EndpointAddressPort[]): void {
    const handler: ReadyHandler = { ready: (events) => this.#clientReady(events) };
    if (this.#deps.thread.loop.add(this.#client, EVENTS, handler) < 0) this.destroy();
    else this.#climb(this.#ladder.next(candidates));
  }

  /** Cuts both sides: they see a reset, never a clean end that was not sent. */
  destroy(): void {
    this.#client.reset();
    this.#upstream?.reset();
    this.#over();
  }

  #climb(next: Dial | undefined): void {
    if (!next) this.destroy();
    else if (next.pauseMs > 0) this.#wait(next.pauseMs, () => this.#connect(next));
    else this.#connect(next);
  }

  #connect(next: Dial): void {
    const { loop } = this.#deps.thread;
    const upstream = dialStream(loop, endpointName(next.endpoint));
    if (typeof upstream === 'number') return this.#climb(this.#ladder.failed(next.endpoint, 'refused'));
    this.#dial = next;
    this.#upstream = upstream;
    this.#wait(next.deadlineMs, () => this.#redial('deadline'));
    const handler: ReadyHandler = { ready: (events) => this.#upstreamReady(events) };
    if (loop.add(upstream, EVENTS, handler) < 0) this.#redial('refused');
  }

  #redial(why: 'deadline' | 'refused'): void {
    const dial = this.#dial;
    this.#cancel();
    this.#upstream?.close();
    this.#upstream = undefined;
    this.#dial = undefined;
    if (dial) this.#climb(this.#ladder.failed(dial.endpoint, why));
  }

  #clientReady(events: number): void {
    this.touched = true;
    if (events & EPOLL.ERR) return this.destroy();
    if (events & READABLE) this.#inward.heard((events & THOROUGH) !== 0);
    if (this.#outward) this.#pump(this.#inward, this.#outward, events);
    else if (events & EPOLL.HUP) this.destroy();
  }

  #upstreamReady(events: number): void {
    this.touched = true;
    if (!this.#outward) {
      if (events & (EPOLL.ERR | EPOLL.HUP)) return this.#redial('refused');
      if (!(events & EPOLL.OUT) || !this.#upstream || !this.#dial) return;
      this.#outward = this.#join(this.#upstream, this.#dial.endpoint);
      events |= EPOLL.OUT;
    } else if (events & EPOLL.ERR) return this.destroy();
    if (events & READABLE) this.#outward.heard((events & THOROUGH) !== 0);
    this.#pump(this.#outward, this.#inward, events);
  }

  #join(upstream: StreamSocket, endpoint: EndpointAddressPort): Flow {
    this.#cancel();
    this.#endpoint = this.#ladder.answered(endpoint);
    this.#inward.join(upstream, false, this.#header());
    const outward = new Flow(this.#deps.thread, upstream);
    outward.join(this.#client, true); // by its listener
    return outward;
  }

  #header(): Uint8Array | undefined {
    const { port, context, clientAddress } = this.#deps.client;
    const version = port.view.proxyProtocol ?? context.proxyProtocol;
    if (!version) return undefined;
    const met: SocketAddress = localAddressOf(this.#client.fd) ?? { address: clientAddress, port: 0 };
    return proxyHeader(version, {
      sourceAddress: clientAddress,
      sourcePort: this.#deps.clientPort,
      destinationAddress: met.address,
      destinationPort: met.port,
    });
  }

  /** `read` flows from the side that was heard, `written` to it. */
  #pump(read: Flow, written: Flow, events: number): void {
    const first = read.pump(written.ended);
    const second = events & EPOLL.OUT ? written.pump(read.ended) : 'open';
    this.#count();
    if (first === 'failed' || second === 'failed') return this.destroy();
    if (first === 'again' || second === 'again') this.#defer();
    if (!read.ended && !written.ended) return;
    this.idleSweepsMax = sweepsOf(this.#deps.client.context.limits.tcpHalfClosedIdleSeconds);
    if (read.ended && written.ended) this.#end();
  }

  #defer(): void {
    if (this.#isDeferred) return;
    this.#isDeferred = true;
    const handler: ReadyHandler = {
      ready: () => {
        this.#isDeferred = false;
        if (this.#outward && this.#endpoint) this.#pump(this.#inward, this.#outward, EPOLL.OUT);
      },
    };
    this.#deps.thread.loop.defer(handler);
  }

  #count(): void {
    const { counters } = this.#deps.client.port;
    const endpoint = this.#endpoint;
    const inBytes = this.#inward.bytes;
    const outBytes = this.#outward?.bytes ?? 0;
    counters.bytesIn += inBytes;
    counters.bytesOut += outBytes;
    this.#inward.bytes = 0;
    if (this.#outward) this.#outward.bytes = 0;
    if (!endpoint) return;
    endpoint.bytesIn += inBytes;
    endpoint.bytesOut += outBytes;
  }

  #end(): void {
    this.#client.close();
    this.#upstream?.close();
    this.#over();
  }

  /** Both sockets are closed. */
  #over(): void {
    const { context, port } = this.#deps.client;
    this.#cancel();
    this.#inward.drop();
    this.#outward?.drop();
    this.#outward = undefined;
    if (!context.tcp.delete(this)) return;
    port.counters.active--;
    if (this.#endpoint) this.#endpoint.active--;
    this.#endpoint = undefined;
  }

  #wait(delayMs: number, then: () => void): void {
    this.#timer = new WheelTimer(then);
    this.#deps.thread.loop.timers.set(this.#timer, delayMs);
  }

  #cancel(): void {
    if (this.#timer) this.#deps.thread.loop.timers.cancel(this.#timer);
    this.#timer = undefined;
  }
}
