import { Buffer } from 'node:buffer';
import type { WebSocket } from 'ws';
import { messageOf } from '../../../base/fault.ts';
import type { ContainerRef, PodEndpointStream, PodStreams } from '../../kinds/pod-streams.ts';
import { bytesOf, openWebSocket } from '../../streams/web-socket.ts';
import { SPDY_STREAMS_MAX } from '../limits.ts';
import { badRequest } from '../status.ts';
import type { SubresourceHandler } from '../verbs/dispatch.ts';
import {
  controlFrame,
  dataFrame,
  FLAG_FIN,
  FRAME,
  type Frame,
  FrameReader,
  HeaderCodec,
  type Headers,
  uint32,
} from './spdy-frames.ts';
import { hostOf, podOf, type StreamsSource } from './target.ts';

const PROTOCOL = 'SPDY/3.1+portforward.k8s.io';

/** pods/NAME/portforward as kubectl speaks it: SPDY/3.1 inside WebSocket messages. */
export function portForwardHandler(source: StreamsSource): SubresourceHandler {
  return async (call) => {
    const { request } = call;
    const target = await podOf(call);
    const { ref } = target;
    if (request.headers['upgrade']?.toLowerCase() !== 'websocket' || !request.upgrade) {
      throw badRequest('Upgrade request required: WebSocket');
    }
    const streams = source(hostOf(target));
    const socket = await openWebSocket(request.upgrade, [PROTOCOL]);
    if (!socket) throw badRequest(`unable to upgrade: the protocol must be ${PROTOCOL}`);
    const connection = new PortForwardConnection(socket, streams, ref);
    socket.on('message', (data) => connection.receive(bytesOf(data)));
    socket.on('close', () => connection[Symbol.dispose]());
    socket.on('error', () => socket.terminate());
    return undefined;
  };
}

interface Stream {
  readonly id: number;
  readonly type: string;
  readonly requestId: string;
  endpoint: PodEndpointStream | undefined;
  /** Bytes that came before the pod was reached. */
  readonly early: Buffer[];
  ended: boolean;
}

/** One client connection: pairs of streams (error, data) by request id, each pair one TCP connection to the pod. */
class PortForwardConnection implements Disposable {
  readonly #socket: WebSocket;
  readonly #streams: PodStreams;
  readonly #ref: ContainerRef;
  readonly #reader = new FrameReader();
  readonly #codec = new HeaderCodec();
  readonly #open = new Map<number, Stream>();
  /** Frames are handled in order although header blocks are decoded asynchronously. */
  #turn: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(socket: WebSocket, streams: PodStreams, ref: ContainerRef) {
    this.#socket = socket;
    this.#streams = streams;
    this.#ref = ref;
  }

  receive(chunk: Buffer): void {
    const frames = this.#reader.push(chunk);
    if (frames === 'bad') {
      this.#socket.close(1002);
      return;
    }
    for (const frame of frames) {
      this.#turn = this.#turn.then(() => this.#handle(frame)).catch(() => this.#socket.terminate());
    }
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    for (const stream of this.#open.values()) {
      stream.endpoint?.writable.destroy();
      stream.endpoint?.readable.destroy();
    }
    this.#open.clear();
    this.#codec[Symbol.dispose]();
  }

  async #handle(frame: Frame): Promise<void> {
    if (this.#closed) return;
    if (frame.kind === 'data') {
      this.#data(frame.streamId, frame.flags, frame.payload);
      return;
    }
    if (frame.type === FRAME.ping) void this.#send(controlFrame(FRAME.ping, 0, frame.payload));
    else if (frame.type === FRAME.goAway) this.#socket.close(1000);
    else if (frame.type === FRAME.rstStream && frame.payload.length >= 4)
      this.#drop(frame.payload.readUInt32BE(0));
    else if (frame.type === FRAME.synStream) await this.#opened(frame.flags, frame.payload);
  }

  async #opened(flags: number, payload: Buffer): Promise<void> {
    const headers = payload.length >= 10 ? await this.#codec.decode(payload.subarray(10)) : undefined;
    if (!headers || this.#open.size >= SPDY_STREAMS_MAX) {
      this.#socket.close(1002);
      return;
    }
    const id = payload.readUInt32BE(0) & 0x7fff_ffff;
    const stream: Stream = {
      id,
      type: headers['streamtype'] ?? '',
      requestId: headers['requestid'] ?? '',
      endpoint: undefined,
      early: [],
      ended: (flags & FLAG_FIN) !== 0,
    };
    this.#open.set(id, stream);
    const reply = await this.#codec.encode({});
    void this.#send(controlFrame(FRAME.synReply, 0, Buffer.concat([uint32(id), reply])));
    if (stream.type === 'data') void this.#connect(stream, headers);
  }

  async #connect(stream: Stream, headers: Headers): Promise<void> {
    const port = Number(headers['port']);
    let problem = '';
    try {
      if (!Number.isInteger(port) || port < 1 || port > 65_535)
        throw new Error(`invalid port ${headers['port']}`);
      const endpoint = await this.#streams.dial(this.#ref, port);
      stream.endpoint = endpoint;
      endpoint.writable.on('error', () => this.#drop(stream.id));
      for (const chunk of stream.early.splice(0)) endpoint.writable.write(chunk);
      if (stream.ended) endpoint.writable.end();
      await this.#copy(stream, endpoint);
    } catch (error) {
      problem = `error forwarding port ${port} to pod ${this.#ref.namespace}/${this.#ref.pod}: ${messageOf(error)}`;
    }
    if (this.#closed) return;
    void this.#send(dataFrame(stream.id, FLAG_FIN, Buffer.alloc(0)));
    this.#endErrorStream(stream.requestId, problem);
    this.#open.delete(stream.id);
  }

  /** Reads no faster than the client takes it. */
  async #copy(stream: Stream, { readable }: PodEndpointStream): Promise<void> {
    for await (const chunk of readable) {
      if (this.#closed) return;
      await this.#send(dataFrame(stream.id, 0, Buffer.from(chunk as Uint8Array)));
    }
  }

  #endErrorStream(requestId: string, problem: string): void {
    for (const stream of this.#open.values()) {
      if (stream.type !== 'error' || stream.requestId !== requestId) continue;
      void this.#send(dataFrame(stream.id, FLAG_FIN, Buffer.from(problem, 'utf8')));
      this.#open.delete(stream.id);
      return;
    }
  }

  #data(id: number, flags: number, payload: Buffer): void {
    const stream = this.#open.get(id);
    if (!stream || stream.type !== 'data') return;
    const { endpoint } = stream;
    if (payload.length > 0 && !endpoint) stream.early.push(Buffer.from(payload));
    else if (payload.length > 0 && endpoint && !endpoint.writable.write(payload)) {
      this.#socket.pause();
      endpoint.writable.once('drain', () => this.#socket.resume());
    }
    if ((flags & FLAG_FIN) === 0) return;
    stream.ended = true;
    endpoint?.writable.end();
  }

  #drop(id: number): void {
    const stream = this.#open.get(id);
    this.#open.delete(id);
    stream?.endpoint?.writable.destroy();
    stream?.endpoint?.readable.destroy();
  }

  async #send(frame: Buffer): Promise<void> {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    await new Promise<void>((resolve) => this.#socket.send(frame, () => resolve()));
  }
}
