import net from 'node:net';

/** What one read takes at most: as much as libuv asks for. */
const READ_BYTES_MAX = 64 * 1024;

/**
 * All sockets of a thread read into this one: what came is used up before the next read. A buffer of its own for
 * each read (node:net's way) costs 2 us and, for a long body, tens of megabytes until the collector looks.
 */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES_MAX);

/** An accepted connection, as node:net keeps it. */
type SocketHandle = object;

/** Where a socket comes from that does not connect by itself: accepted, or by the number of its descriptor. */
type SocketOrigin = { readonly handle: SocketHandle } | { readonly fd: number };

/**
 * A socket that lends what it reads to its reader, for the time of the call. Without a reader it is an ordinary
 * stream.
 */
export class LentSocket extends net.Socket {
  reader: ((bytes: Buffer) => void) | undefined;

  constructor(from?: SocketOrigin) {
    const onread = { buffer: readBuffer, callback: (length: number) => this.#read(length) };
    super({ allowHalfOpen: true, onread, ...from } as net.SocketConstructorOpts);
    this.setNoDelay(true);
  }

  /** False stops reading until somebody resumes. */
  #read(length: number): boolean {
    const bytes = readBuffer.subarray(0, length);
    if (!this.reader) return this.push(Buffer.from(bytes));
    this.reader(bytes);
    return true;
  }
}

interface ListeningHandle {
  onconnection: (status: number, handle: SocketHandle | undefined) => void;
}

/**
 * Makes a listening server hand its connections over as lent sockets. node:net has no option for it (only for
 * sockets that connect), so this takes the place of its accept callback; where there is none, connections come
 * through the server's `connection` event as ever.
 */
export function acceptLent(server: net.Server, accept: (socket: net.Socket) => void): void {
  const { _handle: listening } = server as unknown as { _handle?: Partial<ListeningHandle> };
  const before = listening?.onconnection;
  if (!listening || !before) return;
  listening.onconnection = function (this: unknown, status, handle) {
    if (status !== 0 || !handle) return before.call(this, status, handle);
    accept(new LentSocket({ handle }));
  };
}
