import { socketCalls } from '../libc.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  MSG_NOSIGNAL,
  MSG_PEEK,
  SHUT_WRITE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOCKADDR,
} from './abi.ts';
import type { Arena } from './arena.ts';
import type { ByteStream } from './byte-stream.ts';
import type { EpollLoop } from './epoll-loop.ts';
import { ERRNO, type CallResult, type Failure, orErrno } from './errno.ts';
import type { IoVectors } from './io-vectors.ts';
import { localAddressOf, setAbortOnClose } from './socket-options.ts';
import { writeSocketAddress, type SocketAddress } from './socket-address.ts';
import { streamCalls } from './stream-calls.ts';

/**
 * A connection that never blocks: nobody else holds its descriptor, and it lets go of the number when it closes. Results
 * are bytes, or a Failure: -EAGAIN when it would have to wait, -EBADF once closed. What never waits is never interrupted:
 * no call returns -EINTR.
 */
export class StreamSocket implements ByteStream, Disposable {
  readonly readNeedsRoom = false;
  readonly hasMore = false;
  readonly #loop: EpollLoop;
  readonly #calls = streamCalls();
  #fd: number;

  /** Takes over a descriptor that is in the loop's table. */
  constructor(loop: EpollLoop, fd: number) {
    this.#loop = loop;
    this.#fd = fd;
  }

  /** Negative once closed. Only for calls of this room; it must not be kept. */
  get fd(): number {
    return this.#fd;
  }

  /** This side's end; undefined once closed. */
  get localAddress(): SocketAddress | undefined {
    return this.#fd < 0 ? undefined : localAddressOf(this.#fd);
  }

  /** 0: the peer has ended its side. */
  receive(arena: Arena, at: number, sizeBytes: number): CallResult {
    if (this.#fd < 0) return -ERRNO.EBADF;
    return orErrno(this.#calls.recv(this.#fd, arena.address(at, sizeBytes), sizeBytes, 0));
  }

  /** As `receive`, but the bytes stay to be read again. */
  peek(arena: Arena, at: number, sizeBytes: number): CallResult {
    if (this.#fd < 0) return -ERRNO.EBADF;
    return orErrno(this.#calls.recv(this.#fd, arena.address(at, sizeBytes), sizeBytes, MSG_PEEK));
  }

  /** How many bytes the kernel took: all, or those that had room. */
  send(arena: Arena, at: number, sizeBytes: number): CallResult {
    if (this.#fd < 0) return -ERRNO.EBADF;
    return orErrno(this.#calls.send(this.#fd, arena.address(at, sizeBytes), sizeBytes, MSG_NOSIGNAL));
  }

  receiveVectors(vectors: IoVectors): CallResult {
    if (this.#fd < 0) return -ERRNO.EBADF;
    return orErrno(this.#calls.readv(this.#fd, vectors.address, vectors.count));
  }

  /** Sends several regions by one call. */
  sendVectors(vectors: IoVectors): CallResult {
    if (this.#fd < 0) return -ERRNO.EBADF;
    return orErrno(this.#calls.writev(this.#fd, vectors.address, vectors.count));
  }

  /** Ends the sending side; the peer may go on. */
  endWriting(): 0 | Failure {
    if (this.#fd < 0) return -ERRNO.EBADF;
    return orErrno(this.#calls.shutdown(this.#fd, SHUT_WRITE));
  }

  /** Without TLS to close is to say so. */
  end(): void {
    this.close();
  }

  /** Leaves the loop. What the kernel holds to be sent is still sent. */
  close(): void {
    const fd = this.#fd;
    if (fd < 0) return;
    this.#fd = -1;
    this.#loop.forget(fd);
    this.#loop.descriptors.close(fd);
  }

  /** Closes so that the peer sees a reset. */
  reset(): void {
    if (this.#fd < 0) return;
    setAbortOnClose(this.#fd);
    this.close();
  }

  /** Gives the open descriptor away, for another engine in this process; this socket is closed for the loop. */
  release(): number {
    const fd = this.#fd;
    if (fd < 0) return -ERRNO.EBADF;
    this.#loop.remove(this);
    this.#loop.descriptors.release(fd);
    this.#fd = -1;
    return fd;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The peer of a dial as struct sockaddr, made once for many dials. Throws Fault ADDRESS_INVALID. */
export function socketName(address: SocketAddress): Uint8Array {
  const name = new Uint8Array(SOCKADDR.V6_BYTES);
  return name.subarray(0, writeSocketAddress(address, name));
}

/**
 * Begins a connection. It is there once the loop says EPOLL.OUT without EPOLL.ERR; after EPOLL.ERR `pendingError` says what
 * it came to. A Failure when it cannot even begin (ENETUNREACH, EMFILE, and ECONNREFUSED on the same host).
 */
export function dialStream(loop: EpollLoop, name: Uint8Array): StreamSocket | Failure {
  const domain = name.length === SOCKADDR.V6_BYTES ? AF_INET6 : AF_INET;
  const opened = orErrno(socketCalls().socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const fd = loop.descriptors.adopt(opened);
  if (fd < 0) return fd;
  const failure = orErrno(streamCalls().connect(fd, name, name.length));
  if (failure === 0 || failure === -ERRNO.EINPROGRESS) return new StreamSocket(loop, fd);
  loop.descriptors.close(fd);
  return failure;
}

/** Two ends of a local connection: one for this loop, the other to be given away as a descriptor, not in its table. */
export function openStreamPair(
  loop: EpollLoop,
): { readonly stream: StreamSocket; readonly fd: number } | Failure {
  const fds = new Int32Array(2);
  const failure = orErrno(
    streamCalls().socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
  );
  if (failure < 0) return failure;
  const ours = loop.descriptors.adopt(fds[0]!);
  if (ours >= 0) return { stream: new StreamSocket(loop, ours), fd: fds[1]! };
  socketCalls().close(fds[1]!);
  return ours;
}
