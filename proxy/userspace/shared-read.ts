import { connect, Socket } from 'node:net';
import { TCP_BUFFER_BYTES } from '../limits.ts';

/** Takes bytes that were read; false asks to stop reading until `resume`. The bytes are the taker's to keep. */
export type Taker = (bytes: Buffer) => boolean;

const READ_BUFFER_BYTES = 65_536;

/**
 * Where every socket reads to. Node's default is a fresh 64 KiB buffer per read, which costs more than relaying a
 * small message; here each read is copied out at once, before any other socket can read.
 */
const shared = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);

/** Duplex takes it; the types of node:net do not say so. */
const BUFFER = { writableHighWaterMark: TCP_BUFFER_BYTES };

interface ReadOptions {
  readonly buffer: Buffer;
  callback(sizeBytes: number): boolean;
}

function readInto(take: Taker): ReadOptions {
  return {
    buffer: shared,
    callback: (sizeBytes) => {
      const bytes = Buffer.allocUnsafe(sizeBytes);
      shared.copy(bytes, 0, 0, sizeBytes);
      return take(bytes);
    },
  };
}

/** A connection that reads into the shared buffer. `address` is never a name. */
export function dial(address: string, port: number, take: Taker): Socket {
  const options = {
    host: address,
    port,
    allowHalfOpen: true,
    noDelay: true,
    onread: readInto(take),
    ...BUFFER,
  };
  return connect(options);
}

interface WithHandle {
  _handle?: object | null;
}

/**
 * Makes an accepted, paused socket read into the shared buffer. Node offers `onread` only where a Socket is made,
 * so a new one is made around the same handle; a socket without a handle keeps its own and reads as Node does.
 */
export function adopt(accepted: Socket, take: Taker): Socket {
  const handle = (accepted as Socket & WithHandle)._handle;
  if (!handle) {
    accepted.on('data', (chunk: Buffer) => void (take(chunk) || accepted.pause()));
    return accepted;
  }
  (accepted as Socket & WithHandle)._handle = null;
  const options = { handle, allowHalfOpen: true, pauseOnCreate: true, onread: readInto(take), ...BUFFER };
  return new Socket(options as ConstructorParameters<typeof Socket>[0]);
}
