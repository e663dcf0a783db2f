import './http-proxy-quiet.ts';
import http from 'node:http';
import type net from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import httpProxy from 'http-proxy';
import { Fields, Role } from '../http/fields.ts';
import { UNKNOWN_LENGTH } from '../http/message.ts';
import { connectSocket } from '../net-wire.ts';
import type { Address, UpstreamTls } from '../wire.ts';
import type { OutgoingRequest, UpstreamFailure, UpstreamHandler, UpstreamStream } from './stream.ts';

/**
 * The upstream half of WebSocket upgrades: http-proxy makes the connection, speaks the handshake and pipes. It is
 * given one end of a pair of streams instead of the client's socket, so retries, timeouts, header rules and the
 * client's protocol stay with the relay, and both its ends are ours to destroy: http-proxy by itself leaves the
 * backend's socket open when a client vanishes.
 */
export class UpgradeProxy implements Disposable {
  readonly #proxy = httpProxy.createProxyServer({ ws: true });
  readonly #waiting = new WeakMap<object, UpgradeStream>();
  readonly #open = new Set<UpgradeStream>();

  constructor() {
    this.#proxy.on('proxyReqWs', (outgoing, request) => this.#waiting.get(request)?.requestMade(outgoing));
  }

  /** Upgrades under way and tunnels not yet closed. */
  get size(): number {
    return this.#open.size;
  }

  open(
    address: Address,
    tls: UpstreamTls | undefined,
    request: OutgoingRequest,
    handler: UpstreamHandler,
  ): UpstreamStream {
    const stream = new UpgradeStream(request, handler, () => this.#open.delete(stream));
    this.#open.add(stream);
    const incoming = { method: 'GET', url: request.target, headers: headersFor(request) };
    this.#waiting.set(incoming, stream);
    const agent = new http.Agent({ keepAlive: false });
    agent.createConnection = () =>
      stream.connecting(connectSocket(address, tls, () => stream.connectionMade()));
    this.#proxy.ws(
      incoming as unknown as http.IncomingMessage,
      stream.theirs,
      Buffer.alloc(0),
      { target: { protocol: 'http:', host: address.host, port: address.port }, agent, toProxy: true },
      (error: Error) => stream.failed(error.message),
    );
    return stream;
  }

  [Symbol.dispose](): void {
    for (const stream of this.#open) stream.cancel();
    this.#proxy.close();
  }
}

/** Names in the sender's spelling; a name that comes twice becomes a list. */
function headersFor(request: OutgoingRequest): http.OutgoingHttpHeaders {
  const headers: Record<string, string | string[]> = {
    // http-proxy looks at these two in lower case
    upgrade: request.upgrade ?? '',
    connection: 'Upgrade',
    host: request.authority,
  };
  const { names, values } = request.fields;
  for (let i = 0; i < names.length; i++) {
    const { lower, role } = names[i]!;
    if (role === Role.CONTENT_LENGTH || role === Role.HOST) continue;
    const before = headers[lower];
    headers[lower] = before === undefined ? values[i]! : [before, values[i]!].flat();
  }
  return headers;
}

/** One upgrade at an endpoint. */
class UpgradeStream implements UpstreamStream {
  readonly reused = false;
  connected = false;
  /** What http-proxy takes for the client's socket. */
  readonly theirs: Duplex;
  readonly #ours: Duplex;
  readonly #target: string;
  readonly #ended: () => void;
  #handler: UpstreamHandler | undefined;
  #outgoing: http.ClientRequest | undefined;
  #response: http.IncomingMessage | undefined;
  #socket: net.Socket | undefined;
  #over = false;

  constructor(request: OutgoingRequest, handler: UpstreamHandler, ended: () => void) {
    this.#target = request.target;
    this.#handler = handler;
    this.#ended = ended;
    [this.#ours, this.theirs] = duplexPair();
    // what http-proxy calls on a socket and a stream does not have
    Object.assign(this.theirs, { setTimeout: same, setNoDelay: same, setKeepAlive: same });
    for (const end of [this.#ours, this.theirs]) end.on('error', () => this.#close()); // the pair has one fate
    this.#ours.on('close', () => this.#close());
    this.theirs.on('close', () => this.#close());
  }

  /** The socket to the endpoint: nobody else is sure to close it. */
  connecting(socket: net.Socket): net.Socket {
    this.#socket = socket;
    socket.on('close', () => this.#socketClosed());
    if (this.#over) socket.destroy();
    return socket;
  }

  connectionMade(): void {
    this.connected = true;
    this.#handler?.upstreamConnected();
  }

  /** http-proxy has made its request and not yet sent it. */
  requestMade(outgoing: http.ClientRequest): void {
    this.#outgoing = outgoing;
    // http-proxy joins paths and would lose empty segments
    outgoing.path = this.#target;
    outgoing.on('information', (info) => {
      if (info.statusCode !== 101 && info.statusCode !== 100)
        this.#handler?.upstreamInterim({
          status: info.statusCode,
          fields: fieldsOfRaw(info.rawHeaders),
          connectionNames: undefined,
        });
    });
    outgoing.prependListener('upgrade', (response: http.IncomingMessage) => this.#switched(response));
    // http-proxy would write an answer that is no upgrade to the client as it stands, with framing it has undone
    queueMicrotask(() => {
      outgoing.removeAllListeners('response');
      outgoing.on('response', (response) => this.#answered(response));
    });
  }

  failed(detail: string): void {
    this.#fail(this.connected ? 'reset' : 'connect', detail);
  }

  send(): boolean {
    return true; // a WebSocket handshake has no body
  }
  sendEnd(): void {}
  flush(): void {}
  pause(): void {
    this.#response?.pause();
  }
  resume(): void {
    this.#response?.resume();
  }

  cancel(): void {
    this.#handler = undefined;
    this.#close();
  }

  /** The head http-proxy writes next is not for the client: the relay writes its own. */
  #switched(response: http.IncomingMessage): void {
    const handler = this.#handler;
    this.#handler = undefined;
    if (!handler) return this.#close();
    for (const name of Object.keys(response.headers)) delete response.headers[name];
    let left = 'HTTP/1.1 101 Switching Protocols\r\n\r\n'.length;
    const fields = fieldsOfRaw(response.rawHeaders);
    const swallow = (): void => {
      const bytes = this.#ours.read(left) as Buffer | null;
      if (bytes) left -= bytes.length;
      if (left > 0) return void this.#ours.once('readable', swallow);
      this.#ours.removeAllListeners('readable');
      handler.upstreamSwitched(fields, this.#ours);
    };
    // after http-proxy has written it
    queueMicrotask(swallow);
  }

  /** No upgrade: an ordinary answer. */
  #answered(response: http.IncomingMessage): void {
    this.#response = response;
    const fields = fieldsOfRaw(response.rawHeaders);
    const length = fields.get('content-length');
    this.#handler?.upstreamHead({
      status: response.statusCode ?? 502,
      reason: response.statusMessage ?? '',
      version: 11,
      fields,
      bodyLength: length === undefined ? UNKNOWN_LENGTH : Number(length),
      keepAlive: false,
      connectionNames: undefined,
    });
    response.on('data', (bytes: Buffer) => {
      this.#handler?.upstreamData(bytes);
      this.#handler?.upstreamFlush();
    });
    response.on('end', () => {
      const handler = this.#handler;
      this.#handler = undefined;
      handler?.upstreamEnd(undefined);
      this.#close();
    });
    response.on('error', (error) => this.#fail('truncated', error.message));
  }

  #socketClosed(): void {
    this.#fail(this.#response ? 'truncated' : this.connected ? 'reset' : 'connect', 'connection closed');
    // what came before the end is still to be read
    if (!this.#ours.readableEnded) this.theirs.end();
    else this.#close();
  }

  #fail(failure: UpstreamFailure, detail: string): void {
    const handler = this.#handler;
    if (!handler) return;
    this.#handler = undefined;
    this.#close();
    handler.upstreamFailed(failure, detail);
  }

  #close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#outgoing?.destroy();
    this.#socket?.destroy();
    this.theirs.destroy();
    this.#ours.destroy();
    this.#ended();
  }
}

function same(this: unknown): unknown {
  return this;
}

function fieldsOfRaw(raw: readonly string[]): Fields {
  const fields = new Fields();
  for (let i = 0; i + 1 < raw.length; i += 2) fields.add(raw[i]!, raw[i + 1]!);
  for (const name of ['connection', 'transfer-encoding', 'keep-alive']) fields.remove(name);
  return fields;
}
