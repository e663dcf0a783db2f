import type { Socket } from 'node:net';
import type { EndpointAddressPort } from '../../endpoints/node-view.ts';
import type { EndpointCounters } from './counters.ts';
import { type ClientDeps, type Dial, DialLadder } from './dial-ladder.ts';
import { proxyHeader, type ProxyProtocol } from './proxy-protocol.ts';
import { sweepsOf, type Session } from './session-table.ts';
import { adopt, dial } from './shared-read.ts';

/**
 * One client connection: dials endpoints in turn until one answers, then passes bytes both ways. Each side may
 * finish sending on its own (half-close); an abort of one side aborts the other.
 */
export class TcpSession implements Session {
  touched = true;
  idleSweeps = 0;
  idleSweepsMax: number;
  readonly #deps: ClientDeps;
  readonly #client: Socket;
  readonly #ladder: DialLadder;
  #upstream: Socket | undefined;
  #endpoint: EndpointCounters | undefined;
  #timer: Disposable | undefined;
  /** Sockets of the relay that have not closed yet; a dial under way does not count. */
  #open = 1;

  constructor(deps: ClientDeps, accepted: Socket) {
    this.#deps = deps;
    this.#ladder = new DialLadder(deps);
    const client = adopt(accepted, (bytes) => this.#received(bytes, true));
    this.#client = client;
    this.idleSweepsMax = sweepsOf(deps.context.limits.tcpIdleSeconds);
    deps.context.tcp.add(this);
    deps.port.counters.connections++;
    deps.port.counters.active++;
    client.on('error', () => {}); // close follows and says so
    client.on('close', (hadError) => this.#closed(hadError, this.#upstream));
  }

  /** `candidates`: the endpoints this client may reach now. */
  start(candidates: readonly EndpointAddressPort[]): void {
    this.#dial(this.#ladder.next(candidates));
  }

  /** Cuts both sides: they see a reset, never a clean end that was not sent. */
  destroy(): void {
    this.#timer?.[Symbol.dispose]();
    this.#client.resetAndDestroy();
    this.#upstream?.resetAndDestroy();
  }

  #dial(next: Dial | undefined): void {
    if (!next) this.destroy();
    else if (next.pauseMs > 0) this.#wait(next.pauseMs, () => this.#connect(next));
    else this.#connect(next);
  }

  #connect({ endpoint, deadlineMs }: Dial): void {
    const upstream = dial(endpoint.address, endpoint.port, (bytes) => this.#received(bytes, false));
    this.#upstream = upstream;
    this.#wait(deadlineMs, () => this.#redial(upstream, endpoint, 'deadline'));
    const onError = (): void => this.#redial(upstream, endpoint, 'refused');
    upstream.once('error', onError);
    upstream.once('connect', () => {
      upstream.off('error', onError);
      this.#relay(upstream, endpoint);
    });
  }

  #redial(upstream: Socket, endpoint: EndpointAddressPort, why: 'deadline' | 'refused'): void {
    this.#timer?.[Symbol.dispose]();
    upstream.removeAllListeners();
    upstream.on('error', () => {}); // told after destroy; the dial already counts as failed
    upstream.destroy();
    this.#upstream = undefined;
    this.#dial(this.#ladder.failed(endpoint, why));
  }

  #relay(upstream: Socket, endpoint: EndpointAddressPort): void {
    this.#timer?.[Symbol.dispose]();
    const { port, context } = this.#deps;
    this.#endpoint = this.#ladder.answered(endpoint);
    const client = this.#client;
    const version = port.view.proxyProtocol ?? context.proxyProtocol;
    if (version) this.#announce(upstream, version);
    this.#join(client, upstream);
    this.#join(upstream, client);
    this.#open++;
    upstream.on('error', () => {}); // close follows and says so
    upstream.on('close', (hadError) => this.#closed(hadError, client));
    client.resume();
  }

  #announce(upstream: Socket, version: ProxyProtocol): void {
    const { remotePort, localAddress, localPort } = this.#client;
    upstream.write(
      proxyHeader(version, {
        sourceAddress: this.#deps.clientAddress,
        sourcePort: remotePort ?? 0,
        destinationAddress: localAddress ?? '',
        destinationPort: localPort ?? 0,
      }),
    );
  }

  /** Bytes of one side for the other; false when the other cannot keep up. */
  #received(bytes: Buffer, inward: boolean): boolean {
    const { counters } = this.#deps.port;
    const to = inward ? this.#upstream : this.#client;
    const endpoint = this.#endpoint;
    if (!to || !endpoint) return false;
    this.touched = true;
    if (inward) {
      counters.bytesIn += bytes.length;
      endpoint.bytesIn += bytes.length;
    } else {
      counters.bytesOut += bytes.length;
      endpoint.bytesOut += bytes.length;
    }
    return to.write(bytes);
  }

  /** What one side ends, the other is told; what the other has written out, this one may read on. */
  #join(from: Socket, to: Socket): void {
    to.on('drain', () => from.resume());
    from.on('end', () => {
      this.touched = true;
      this.idleSweepsMax = sweepsOf(this.#deps.context.limits.tcpHalfClosedIdleSeconds);
      to.end();
    });
  }

  #wait(delayMs: number, then: () => void): void {
    this.#timer = this.#deps.context.clock.setTimer(delayMs, then);
  }

  /** One socket is gone. After an error the other is reset; after a clean end it may still flush. */
  #closed(hadError: boolean, other: Socket | undefined): void {
    if (hadError || !this.#endpoint) other?.resetAndDestroy();
    if (--this.#open > 0) return;
    this.#timer?.[Symbol.dispose]();
    this.#deps.context.tcp.delete(this);
    this.#deps.port.counters.active--;
    if (this.#endpoint) this.#endpoint.active--;
  }
}
