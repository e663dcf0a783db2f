import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { WebSocket } from 'ws';
import type { PodStreams } from '../../api/kinds/pod-streams.ts';
import { CHANNEL_PROTOCOLS } from '../../api/streams/channels.ts';
import { serveDial } from '../../api/streams/dial-server.ts';
import { serveSession } from '../../api/streams/session-server.ts';
import { openWebSocket } from '../../api/streams/web-socket.ts';
import type { Clock } from '../../base/clock.ts';
import { hasCode, messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import { selfSignedCertificate } from '../../net/self-signed.ts';
import { KUBELET_CONNECTIONS_MAX } from '../limits.ts';
import { type KubeletTarget, parseKubeletTarget } from './target.ts';

export interface KubeletServerOptions {
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  /** Who signs the certificates of API servers. */
  readonly clientCaPem: string;
}

/** Who may ask: the API server's own client, as kubeadm names it too, and administrators. */
const API_SERVER = 'kube-apiserver-kubelet-client';
const ADMINISTRATORS = 'system:masters';

const REFUSALS: Readonly<Record<number, string>> = {
  403: 'only the API server may ask',
  404: 'no such path',
  503: 'the kubelet is starting',
};

/**
 * Logs, exec, attach and port-forward of this host's pods for the API server, over TLS with client certificates. The
 * serving certificate is new at each start: the Node object publishes it, and the API server trusts that one alone.
 */
export class KubeletServer implements AsyncDisposable {
  readonly certificatePem: string;
  readonly #server: Server;
  readonly #clients = new Set<WebSocket>();
  #streams: PodStreams | undefined;

  private constructor(server: Server, certificatePem: string, log: Logger) {
    this.certificatePem = certificatePem;
    this.#server = server;
    server.maxConnections = KUBELET_CONNECTIONS_MAX;
    server.on('request', (request, response) => void this.#answer(request, response));
    server.on('upgrade', (request, socket, head) => void this.#upgrade(request, socket, head));
    server.on('tlsClientError', (error) => log.debug('connection refused', { reason: messageOf(error) }));
  }

  /** Rejects when the address cannot be listened on. */
  static async open(
    deps: { readonly clock: Clock; readonly log: Logger },
    { host, port, clientCaPem }: KubeletServerOptions,
  ): Promise<KubeletServer> {
    const { cert, key } = await selfSignedCertificate('weft-kubelet', ['weft-kubelet'], deps.clock.nowMs());
    const tls = { cert, key, ca: clientCaPem, requestCert: true, minVersion: 'TLSv1.3' } as const;
    const server = createServer({ ...tls, rejectUnauthorized: true });
    const opened = new KubeletServer(server, cert, deps.log);
    server.listen(port, host);
    await once(server, 'listening');
    return opened;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Before, everything is answered with 503. */
  attach(streams: PodStreams): void {
    this.#streams = streams;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const client of this.#clients) client.terminate();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refuse = (status: number, text: string): void => {
      if (response.headersSent) response.destroy();
      else response.writeHead(status, { 'content-type': 'text/plain' }).end(`${text}\n`);
    };
    const admitted = this.#admit(request);
    if (typeof admitted === 'number') return refuse(admitted, REFUSALS[admitted]!);
    const { target, streams } = admitted;
    if (target.kind !== 'logs') return refuse(400, 'upgrade request required: WebSocket');
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    try {
      // a followed log may have nothing to say yet: the reply begins all the same
      if (target.options.follow) response.writeHead(200, { 'content-type': 'text/plain' }).flushHeaders();
      for await (const chunk of streams.logs(target.ref, target.options, gone.signal)) {
        if (!response.write(chunk)) await once(response, 'drain', { signal: gone.signal });
      }
      response.end();
    } catch (error) {
      if (!gone.signal.aborted) refuse(statusOf(error), messageOf(error));
    }
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    const admitted = this.#admit(request);
    if (typeof admitted === 'number') return refuseUpgrade(socket, admitted, REFUSALS[admitted]!);
    try {
      const stream = await openStream(admitted.streams, admitted.target);
      const client = await openWebSocket({ socket, head, raw: request }, CHANNEL_PROTOCOLS);
      if (!client) {
        stream.abandon();
        return refuseUpgrade(socket, 400, `offer one of: ${CHANNEL_PROTOCOLS.join(', ')}`);
      }
      this.#clients.add(client);
      client.once('close', () => this.#clients.delete(client));
      await stream.serve(client);
    } catch (error) {
      refuseUpgrade(socket, statusOf(error), messageOf(error));
    }
  }

  #admit(
    request: IncomingMessage,
  ): number | { readonly target: KubeletTarget; readonly streams: PodStreams } {
    const { subject } = (request.socket as TLSSocket).getPeerCertificate();
    const groups = [subject?.O ?? []].flat();
    if (subject?.CN !== API_SERVER && !groups.includes(ADMINISTRATORS)) return 403;
    const target = request.method === 'GET' ? parseKubeletTarget(request.url ?? '') : undefined;
    if (!target) return 404;
    return this.#streams ? { target, streams: this.#streams } : 503;
  }
}

/** What a WebSocket is to carry, once there is one. */
interface OpenStream {
  readonly serve: (client: WebSocket) => Promise<void>;
  readonly abandon: () => void;
}

async function openStream(streams: PodStreams, target: KubeletTarget): Promise<OpenStream> {
  const { ref } = target;
  if (target.kind === 'portForward') {
    const endpoint = await streams.dial(ref, target.port);
    return {
      serve: (client) => serveDial(client, endpoint, target.port),
      abandon: () => endpoint.writable.destroy(),
    };
  }
  if (target.kind === 'logs') return Promise.reject(new Error('a log is read without upgrade'));
  const { kind, options } = target;
  const session = await (kind === 'exec' ? streams.exec(ref, options) : streams.attach(ref, options));
  return { serve: (client) => serveSession(client, session), abandon: () => session.kill() };
}

function statusOf(error: unknown): number {
  if (hasCode(error, 'POD_NOT_FOUND')) return 404;
  return hasCode(error, 'CONTAINER_NOT_FOUND') || hasCode(error, 'CONTAINER_NOT_RUNNING') ? 400 : 500;
}

function refuseUpgrade(socket: Duplex, status: number, text: string): void {
  if (!socket.writable) return;
  const body = `${text}\n`;
  socket.end(
    `HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Type: text/plain\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
