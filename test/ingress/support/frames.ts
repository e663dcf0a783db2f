import net from 'node:net';

/** HTTP/2 frames by hand (RFC 9113 section 4.1): for clients that node:http2 would not let us be. */
export const Frame = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Literal fields that are never indexed (RFC 7541 section 6.2.3), names and values under 127 bytes. */
export function block(...fields: readonly (readonly [string, string])[]): Buffer {
  return Buffer.concat(
    fields.map(([name, value]) =>
      Buffer.concat([
        Buffer.of(0x10, name.length),
        Buffer.from(name, 'latin1'),
        Buffer.of(value.length),
        Buffer.from(value, 'latin1'),
      ]),
    ),
  );
}

export const plainRequest = (path = '/', method = 'GET'): readonly (readonly [string, string])[] => [
  [':method', method],
  [':scheme', 'http'],
  [':path', path],
  [':authority', 'web.test'],
];

export interface SeenFrame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** A connection that collects what it is sent. */
export class FrameClient implements Disposable {
  readonly socket: net.Socket;
  closed = false;
  #bytes = Buffer.alloc(0);

  constructor(port: number) {
    this.socket = net.connect(port, '127.0.0.1');
    this.socket.on('data', (bytes: Buffer) => (this.#bytes = Buffer.concat([this.#bytes, bytes])));
    this.socket.on('error', () => {});
    this.socket.on('close', () => (this.closed = true));
    this.send(PREFACE, frame(Frame.SETTINGS, 0, 0));
  }

  send(...frames: readonly Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(frames));
  }

  get frames(): SeenFrame[] {
    const seen: SeenFrame[] = [];
    const bytes = this.#bytes;
    for (let at = 0; at + 9 <= bytes.length;) {
      const length = bytes.readUIntBE(at, 3);
      seen.push({
        type: bytes[at + 3]!,
        flags: bytes[at + 4]!,
        stream: bytes.readUInt32BE(at + 5),
        payload: bytes.subarray(at + 9, at + 9 + length),
      });
      at += 9 + length;
    }
    return seen;
  }

  /** Frames of a type, on a stream when one is given. */
  of(type: number, stream?: number): SeenFrame[] {
    return this.frames.filter(
      (each) => each.type === type && (stream === undefined || each.stream === stream),
    );
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
