import { connect, type Socket } from 'node:net';
import type { EndpointAddressPort } from '../../endpoints/node-view.ts';
import { DIALS_MAX, REDIAL_PAUSE_MS, SWEEP_INTERVAL_MS } from '../limits.ts';
import { endpointId } from './balancer.ts';
import type { EndpointCounters } from './counters.ts';
import type { PortState } from './port-state.ts';
import { proxyHeader, type ProxyProtocol } from './proxy-protocol.ts';
import type { RelayContext } from './relay-context.ts';
import type { Session } from './session-table.ts';

export interface TcpSessionDeps {
  readonly context: RelayContext;
  readonly port: PortState;
  /** The endpoints this client may reach, asked anew before each dial so that churn is followed. */
  readonly candidates: () => readonly EndpointAddressPort[];
}

/**
 * One client connection: dials endpoints in turn until one answers, then passes bytes both ways. Each side may
 * finish sending on its own (half-close); an abort of one side aborts the other.
 */
export class TcpSession implements Session {
  touched = true;
  idleSweeps = 0;
  idleSweepsMax: number;
  readonly #deps: TcpSessionDeps;
  readonly #client: Socket;
  readonly #clientAddress: string;
  readonly #tried = new Set<string>();
  #upstream: Socket | undefined;
  #endpoint: EndpointCounters | undefined;
  #timer: Disposable | undefined;
  #dials = 0;
  #timeouts = 0;
  /** Sockets of the relay that have not closed yet; a dial under way does not count. */
  #open = 1;

  constructor(deps: TcpSessionDeps, client: Socket) {
    this.#deps = deps;
    this.#client = client;
    this.#clientAddress = client.remoteAddress ?? '';
    this.idleSweepsMax = sweeps(deps.context.limits.tcpIdleSeconds);
    deps.context.tcp.add(this);
    deps.port.counters.connections++;
    deps.port.counters.active++;
    client.on('error', () => {}); // close follows and says so
    client.on('close', (hadError) => this.#closed(hadError, this.#upstream));
  }

  start(): void {
    this.#dial();
  }

  /** Cuts both sides: they see a reset, never a clean end that was not sent. */
  destroy(): void {
    this.#timer?.[Symbol.dispose]();
    this.#client.resetAndDestroy();
    this.#upstream?.resetAndDestroy();
  }

  #dial(): void {
    const { port, candidates, context } = this.#deps;
    const tried = this.#tried.size > 0 ? this.#tried : undefined;
    const { affinitySeconds } = port.view;
    const endpoint = port.balancer.pick(candidates(), this.#clientAddress, affinitySeconds, tried);
    if (!endpoint || this.#dials >= DIALS_MAX || this.#timeouts >= context.limits.dialDeadlinesMs.length) {
      port.counters.failed++;
      this.destroy();
      return;
    }
    if (tried?.has(endpointId(endpoint))) {
      this.#tried.clear();
      this.#wait(REDIAL_PAUSE_MS, () => this.#connect(endpoint));
    } else this.#connect(endpoint);
  }

  #connect(endpoint: EndpointAddressPort): void {
    this.#dials++;
    const { limits } = this.#deps.context;
    const upstream = connect({
      host: endpoint.address,
      port: endpoint.port,
      allowHalfOpen: true,
      noDelay: true,
    });
    this.#upstream = upstream;
    this.#wait(limits.dialDeadlinesMs[this.#timeouts] ?? 0, () => {
      this.#timeouts++;
      this.#redial(upstream, endpoint);
    });
    const onError = (): void => this.#redial(upstream, endpoint);
    upstream.once('error', onError);
    upstream.once('connect', () => {
      upstream.off('error', onError);
      this.#relay(upstream, endpoint);
    });
  }

  /** Gives the endpoint up for this client and goes on with the next. */
  #redial(upstream: Socket, endpoint: EndpointAddressPort): void {
    this.#timer?.[Symbol.dispose]();
    upstream.removeAllListeners();
    upstream.on('error', () => {}); // told after destroy; the dial already counts as failed
    upstream.destroy();
    this.#upstream = undefined;
    const id = endpointId(endpoint);
    this.#deps.port.balancer.failed(endpoint, this.#clientAddress);
    this.#deps.port.counters.endpoint(id).dialFailures++;
    this.#tried.add(id);
    this.#dial();
  }

  #relay(upstream: Socket, endpoint: EndpointAddressPort): void {
    this.#timer?.[Symbol.dispose]();
    const { port, context } = this.#deps;
    port.balancer.succeeded(endpoint);
    this.#endpoint = port.counters.endpoint(endpointId(endpoint));
    this.#endpoint.connections++;
    this.#endpoint.active++;
    const client = this.#client;
    const version = port.view.proxyProtocol ?? context.proxyProtocol;
    if (version) this.#announce(upstream, version);
    this.#pass(client, upstream, true);
    this.#pass(upstream, client, false);
    this.#open++;
    upstream.on('error', () => {}); // close follows and says so
    upstream.on('close', (hadError) => this.#closed(hadError, client));
    client.resume();
  }

  #announce(upstream: Socket, version: ProxyProtocol): void {
    const { remotePort, localAddress, localPort } = this.#client;
    upstream.write(
      proxyHeader(version, {
        sourceAddress: this.#clientAddress,
        sourcePort: remotePort ?? 0,
        destinationAddress: localAddress ?? '',
        destinationPort: localPort ?? 0,
      }),
    );
  }

  #pass(from: Socket, to: Socket, inward: boolean): void {
    const { counters } = this.#deps.port;
    const endpoint = this.#endpoint!;
    from.on('data', (chunk: Buffer) => {
      this.touched = true;
      if (inward) {
        counters.bytesIn += chunk.length;
        endpoint.bytesIn += chunk.length;
      } else {
        counters.bytesOut += chunk.length;
        endpoint.bytesOut += chunk.length;
      }
      if (!to.write(chunk)) from.pause();
    });
    to.on('drain', () => from.resume());
    from.on('end', () => {
      this.touched = true;
      this.idleSweepsMax = sweeps(this.#deps.context.limits.tcpHalfClosedIdleSeconds);
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

function sweeps(seconds: number): number {
  return Math.ceil((seconds * 1000) / SWEEP_INTERVAL_MS);
}
