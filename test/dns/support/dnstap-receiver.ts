import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import protobuf from 'protobufjs';

/** From the published dnstap.proto, the part that clients' messages use. */
const SCHEMA = `syntax = "proto2";
package dnstap;
message Dnstap {
  enum Type { MESSAGE = 1; }
  optional bytes identity = 1;
  optional bytes version = 2;
  optional bytes extra = 3;
  required Type type = 15;
  optional Message message = 14;
}
enum SocketFamily { INET = 1; INET6 = 2; }
enum SocketProtocol { UDP = 1; TCP = 2; DOT = 3; DOH = 4; }
message Message {
  enum Type { AUTH_QUERY = 1; AUTH_RESPONSE = 2; CLIENT_QUERY = 5; CLIENT_RESPONSE = 6; FORWARDER_QUERY = 7; FORWARDER_RESPONSE = 8; }
  required Type type = 1;
  optional SocketFamily socket_family = 2;
  optional SocketProtocol socket_protocol = 3;
  optional bytes query_address = 4;
  optional bytes response_address = 5;
  optional uint32 query_port = 6;
  optional uint32 response_port = 7;
  optional uint64 query_time_sec = 8;
  optional fixed32 query_time_nsec = 9;
  optional bytes query_message = 10;
  optional bytes query_zone = 11;
  optional uint64 response_time_sec = 12;
  optional fixed32 response_time_nsec = 13;
  optional bytes response_message = 14;
}`;
const DNSTAP = protobuf.parse(SCHEMA, { keepCase: true }).root.lookupType('dnstap.Dnstap');

const TYPE = { ACCEPT: 1, START: 2, STOP: 3, READY: 4, FINISH: 5 } as const;
const NAMES = Object.fromEntries(Object.entries(TYPE).map(([name, type]) => [type, name]));

export interface TapMessage {
  readonly identity: string;
  readonly version: string;
  readonly extra: string;
  readonly message: Readonly<Record<string, unknown>>;
}

/** A receiver of dnstap over Frame Streams, written from the specifications alone. */
export class DnstapReceiver implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly controls: string[] = [];
  readonly messages: TapMessage[] = [];
  connections = 0;

  private constructor(contentType: string) {
    this.#server = createServer((socket) => this.#serve(socket, contentType));
  }

  static async open(
    at: { readonly path: string } | { readonly port: number },
    contentType = 'protobuf:dnstap.Dnstap',
  ): Promise<DnstapReceiver> {
    const receiver = new DnstapReceiver(contentType);
    const where = 'path' in at ? at : { ...at, host: '127.0.0.1' };
    await new Promise<void>((resolve) => receiver.#server.listen(where, resolve));
    return receiver;
  }

  /** Goes to a sender that listens. */
  static async visit(at: { readonly path: string } | { readonly port: number }): Promise<DnstapReceiver> {
    const contentType = 'protobuf:dnstap.Dnstap';
    const receiver = new DnstapReceiver(contentType);
    const socket = connect('path' in at ? at : { ...at, host: '127.0.0.1' });
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    receiver.#serve(socket, contentType);
    return receiver;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => void this.#server.close(() => resolve()));
  }

  #serve(socket: Socket, contentType: string): void {
    this.connections++;
    this.#sockets.add(socket);
    let rest = Buffer.alloc(0);
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      for (
        let size = this.#frame(socket, rest, contentType);
        size > 0;
        size = this.#frame(socket, rest, contentType)
      ) {
        rest = rest.subarray(size);
      }
    });
  }

  /** Handles one frame; how many octets it had, 0 = not complete. */
  #frame(socket: Socket, bytes: Buffer, contentType: string): number {
    if (bytes.length < 4) return 0;
    const length = bytes.readUInt32BE(0);
    if (length > 0) {
      if (bytes.length < 4 + length) return 0;
      this.messages.push(decodeTap(bytes.subarray(4, 4 + length)));
      return 4 + length;
    }
    if (bytes.length < 8 || bytes.length < 8 + bytes.readUInt32BE(4)) return 0;
    const size = bytes.readUInt32BE(4);
    const type = bytes.readUInt32BE(8);
    const content = size > 12 ? bytes.subarray(20, 20 + bytes.readUInt32BE(16)).toString() : '';
    this.controls.push(`${NAMES[type]}${content === '' ? '' : ` ${content}`}`);
    if (type === TYPE.READY) socket.write(control(TYPE.ACCEPT, contentType));
    if (type === TYPE.STOP) socket.end(control(TYPE.FINISH, ''));
    return 8 + size;
  }
}

function control(type: number, contentType: string): Buffer {
  const field = contentType === '' ? 0 : 8 + contentType.length;
  const out = Buffer.alloc(12 + field);
  out.writeUInt32BE(4 + field, 4);
  out.writeUInt32BE(type, 8);
  if (field > 0) {
    out.writeUInt32BE(1, 12);
    out.writeUInt32BE(contentType.length, 16);
    out.write(contentType, 20);
  }
  return out;
}

function decodeTap(bytes: Buffer): TapMessage {
  const decoded = DNSTAP.toObject(DNSTAP.decode(bytes), { enums: String, longs: Number }) as Record<
    string,
    unknown
  >;
  const text = (name: string): string => Buffer.from((decoded[name] ?? []) as Uint8Array).toString();
  return {
    identity: text('identity'),
    version: text('version'),
    extra: text('extra'),
    message: decoded['message'] as Record<string, unknown>,
  };
}
