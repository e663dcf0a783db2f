import type { Socket } from 'node:net';
import type { EndpointAddressPort } from '../../endpoints/node-view.ts';
import type { EntranceKind } from '../decide.ts';
import { DIALS_MAX, REDIAL_PAUSE_MS, SWEEP_INTERVAL_MS } from '../limits.ts';
import { endpointId } from './balancer.ts';
import type { EndpointCounters } from './counters.ts';
import type { PortState } from './port-state.ts';
import { proxyHeader, type ProxyProtocol } from './proxy-protocol.ts';
import type { RelayContext } from './relay-context.ts';
import type { Session } from './session-table.ts';
import { adopt, dial } from './shared-read.ts';

export interface TcpSessionDeps {
  readonly context: RelayContext;
  readonly port: PortState;
  readonly entrance: EntranceKind;
  readonly clientAddress: string;
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
  #tried: Set<string> | undefined;
  #upstream: Socket | undefined;
  #endpoint: EndpointCounters | undefined;
  #timer: Disposable | undefined;
  #dials = 0;
  #timeouts = 0;
  /** Sockets of the relay that have not closed yet; a dial under way does not count. */
  #open = 1;

  constructor(deps: TcpSessionDeps, accepted: Socket) {
    this.#deps = deps;
    const client = adopt(accepted, (bytes) => this.#received(bytes, true));
    this.#client = client;
    this.idleSweepsMax = sweeps(deps.context.limits.tcpIdleSeconds);
    deps.context.tcp.add(this);
    deps.port.counters.connections++;
    deps.port.counters.active++;
    client.on('error', () => {}); // close follows and says so
    client.on('close', (hadError) => this.#closed(hadError, this.#upstream));
  }

  /** `candidates`: the endpoints this client may reach now. */
  start(candidates: readonly EndpointAddressPort[]): void {
    this.#dial(candidates);
  }

  /** Cuts both sides: they see a reset, never a clean end that was not sent. */
  destroy(): void {
    this.#timer?.[Symbol.dispose]();
    this.#client.resetAndDestroy();
    this.#upstream?.resetAndDestroy();
  }

  #dial(candidates: readonly EndpointAddressPort[]): void {
    const { port, context, clientAddress } = this.#deps;
    const tried = this.#tried;
    const { affinitySeconds } = port.view;
    const endpoint = port.balancer.pick(candidates, clientAddress, affinitySeconds, tried);
    if (!endpoint || this.#dials >= DIALS_MAX || this.#timeouts >= context.limits.dialDeadlinesMs.length) {
      port.counters.failed++;
      this.destroy();
      return;
    }
    if (tried?.has(endpointId(endpoint))) {
      this.#tried = undefined;
      this.#wait(REDIAL_PAUSE_MS, () => this.#connect(endpoint));
    } else this.#connect(endpoint);
  }

  #connect(endpoint: EndpointAddressPort): void {
    this.#dials++;
    const { limits } = this.#deps.context;
    const upstream = dial(endpoint.address, endpoint.port, (bytes) => this.#received(bytes, false));
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
    const { port, entrance, clientAddress } = this.#deps;
    port.balancer.failed(endpoint, clientAddress);
    port.counters.endpoint(id).dialFailures++;
    (this.#tried ??= new Set()).add(id);
    // asked anew, so that a dial under churn follows it
    this.#dial(port.candidates(entrance, clientAddress));
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
