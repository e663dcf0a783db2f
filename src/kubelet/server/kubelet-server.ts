import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import type { WebSocket } from 'ws';
import type { KubeletDoor } from '../../api/kinds/pod-streams.ts';
import {
  answerKubelet,
  type KubeletReply,
  type KubeletRequest,
  upgradeToKubelet,
} from '../../api/streams/kubelet-service.ts';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import { selfSignedCertificate } from '../../net/self-signed.ts';
import { KUBELET_CONNECTIONS_MAX } from '../limits.ts';

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

/**
 * A kubelet's door for the API server, over TLS with client certificates. The
 * serving certificate is new at each start: the Node object publishes it, and the API server trusts that one alone.
 */
export class KubeletServer implements AsyncDisposable {
  readonly certificatePem: string;
  readonly #server: Server;
  readonly #clients = new Set<WebSocket>();
  #door: KubeletDoor | undefined;

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
  attach(door: KubeletDoor): void {
    this.#door = door;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const client of this.#clients) client.terminate();
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const door = this.#admit(request);
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const { signal } = gone;
    const { status, contentType, body } =
      'status' in door ? door : await answerKubelet(door, { ...asked(request), signal });
    response.writeHead(status, { 'content-type': contentType });
    if (typeof body === 'string') return void response.end(body);
    response.flushHeaders();
    try {
      for await (const chunk of body) {
        if (!response.write(chunk)) await once(response, 'drain', { signal });
      }
      response.end();
    } catch {
      response.destroy();
    }
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    const door = this.#admit(request);
    const upgrade = { socket, head, raw: request };
    const client = 'status' in door ? door : await upgradeToKubelet(door, asked(request), upgrade);
    if ('status' in client) return refuseUpgrade(socket, client);
    this.#clients.add(client);
    client.once('close', () => this.#clients.delete(client));
  }

  #admit(request: IncomingMessage): KubeletDoor | (KubeletReply & { readonly body: string }) {
    const { subject } = (request.socket as TLSSocket).getPeerCertificate();
    const groups = [subject?.O ?? []].flat();
    if (subject?.CN !== API_SERVER && !groups.includes(ADMINISTRATORS))
      return refusal(403, 'only the API server may ask');
    return this.#door ?? refusal(503, 'the kubelet is starting');
  }
}

function asked({ method = '', url = '' }: IncomingMessage): Omit<KubeletRequest, 'signal'> {
  return { method, target: url };
}

function refusal(status: number, text: string): KubeletReply & { readonly body: string } {
  return { status, contentType: 'text/plain', body: `${text}\n` };
}

function refuseUpgrade(socket: Duplex, { status, contentType, body }: KubeletReply): void {
  if (!socket.writable) return;
  const text = typeof body === 'string' ? body : '';
  socket.end(
    `HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Type: ${contentType}\r\n` +
      `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  );
}
