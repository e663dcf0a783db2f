import net from 'node:net';
import { Fault } from '../../src/base/fault.ts';
import { PROXY_V2_BYTES_MAX } from '../limits.ts';
import { Opening } from '../listen/opening.ts';
import { type ProxyHeader, readProxyHeader } from '../listen/proxy-protocol.ts';
import { plainAddress } from '../relay/context.ts';
import { Tunnel } from '../relay/tunnel.ts';
import type { TimerWheel } from '../timer-wheel.ts';
import type { Cluster } from '../upstream/clusters.ts';
import { dial } from './dial.ts';
import { proxyLine, type StreamRule } from './stream-rules.ts';

export interface StreamDeps {
  readonly wheel: TimerWheel;
  nowMs(): number;
  cluster(rule: StreamRule['target']): Cluster;
  /** Keeps count of what is under way, until the callback is called. */
  tunnelOpened(tunnel: Tunnel): () => void;
  /** A connection or datagram that went nowhere. */
  dropped(reason: string): void;
}

/** Without a byte either way for so long a stream is closed (ingress-nginx: proxy-stream-timeout). */
export const STREAM_IDLE_MS = 600_000;
const CONNECT_MS = 5_000;

/** One exposed TCP port: each connection is tied to an endpoint of the rule of the moment. */
export class TcpPort implements AsyncDisposable {
  rule: StreamRule;
  readonly #deps: StreamDeps;
  readonly #server: net.Server;

  private constructor(deps: StreamDeps, rule: StreamRule) {
    this.#deps = deps;
    this.rule = rule;
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) =>
      this.#accept(socket),
    );
  }

  static async open(deps: StreamDeps, host: string, rule: StreamRule): Promise<TcpPort> {
    const port = new TcpPort(deps, rule);
    await new Promise<void>((resolve, reject) => {
      port.#server.once('error', (cause: NodeJS.ErrnoException) =>
        reject(
          new Fault('STREAM_LISTEN', `tcp ${host}:${rule.port}: ${cause.code ?? cause.message}`, { cause }),
        ),
      );
      port.#server.listen({ host, port: rule.port, backlog: 4096 }, resolve);
    });
    return port;
  }

  /** Stops accepting; tunnels go on. */
  [Symbol.asyncDispose](): Promise<void> {
    return new Promise((resolve) => {
      // open tunnels are their owner's: only the listening ends here
      this.#server.close();
      resolve();
    });
  }

  #accept(socket: net.Socket): void {
    const { rule } = this;
    const client = { address: plainAddress(socket.remoteAddress ?? ''), port: socket.remotePort ?? 0 };
    if (!rule.decodeProxy) return void this.#connect(socket, rule, client);
    socket.resume(); // it was paused until somebody listens
    const opening = new Opening(socket, this.#deps.wheel, (reason) => this.#deps.dropped(reason));
    opening.read(PROXY_V2_BYTES_MAX * 2, readProxyHeader, (header: ProxyHeader, bytes) => {
      opening.held = bytes.subarray(header.length);
      void this.#connect(opening.release(), rule, header.source ?? client);
    });
  }

  async #connect(
    socket: net.Socket,
    rule: StreamRule,
    client: { readonly address: string; readonly port: number },
  ): Promise<void> {
    const sent = rule.encodeProxy
      ? proxyLine(client, { address: plainAddress(socket.localAddress ?? ''), port: rule.port })
      : '';
    await tie(socket, this.#deps.cluster(rule.target), this.#deps, sent);
  }
}

/** Ties a client's stream to an endpoint; `first` is what the endpoint gets before the client's bytes. */
export async function tie(
  socket: net.Socket,
  cluster: Cluster,
  deps: StreamDeps,
  first: string,
): Promise<void> {
  const gone = { client: false };
  const onGone = (): void => void (gone.client = true);
  socket.on('error', onGone);
  socket.on('close', onGone);
  const dialled = await dial(cluster, deps, { connectMs: CONNECT_MS, nowMs: deps.nowMs() });
  socket.off('close', onGone);
  if (gone.client) return void dialled?.socket.destroy();
  if (!dialled) {
    deps.dropped(cluster.reason ?? 'no endpoint takes the connection');
    return void socket.resetAndDestroy();
  }
  if (first !== '') dialled.socket.write(first, 'latin1');
  const { endpoint } = dialled;
  endpoint.active++;
  const release = deps.tunnelOpened(
    new Tunnel({ wheel: deps.wheel }, socket, dialled.socket, STREAM_IDLE_MS, () => {
      endpoint.active--;
      release();
    }),
  );
  socket.off('error', onGone);
}
