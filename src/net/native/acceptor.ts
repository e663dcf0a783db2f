import { EPOLL, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCKADDR } from './abi.ts';
import { Arena } from './arena.ts';
import type { EpollLoop, ReadyHandler } from './epoll-loop.ts';
import { ERRNO, type CallResult, type Failure, orErrno } from './errno.ts';
import { readSocketAddress, type SocketAddress } from './socket-address.ts';
import { streamCalls } from './stream-calls.ts';
import { StreamSocket } from './stream-socket.ts';
import { WheelTimer } from './timer-wheel.ts';

/** Accepted in one turn, so that a flood of clients leaves the others their share. */
const ACCEPTS_A_TURN = 64;
/** More than the longest backlog holds. */
const ACCEPT_ALL_TURNS = 64;
/** Out of descriptors or memory: clients wait in the kernel this long. */
const ACCEPT_PAUSE_MS = 100;
const FLAGS = SOCK_NONBLOCK | SOCK_CLOEXEC;

export interface AcceptHandler {
  /** A client. `peer` must be asked for before this returns, if at all. */
  accepted(stream: StreamSocket, peer: () => SocketAddress): void;
  /**
   * No client for now: EMFILE, ENFILE, ENOBUFS, ENOMEM. Accepting goes on by itself after a pause; told once until it
   * works again. EBADF: it never will.
   */
  failed(failure: Failure): void;
}

/** Accepts the clients of one listener in a loop. The listener is not its own: disposing stops accepting, no more. */
export class Acceptor implements ReadyHandler, Disposable {
  readonly #loop: EpollLoop;
  readonly #listener: { fd: number };
  readonly #handler: AcceptHandler;
  readonly #arena = new Arena(SOCKADDR.V6_BYTES + 32);
  readonly #name = this.#arena.allocate(SOCKADDR.V6_BYTES);
  readonly #size = this.#arena.allocate(4);
  readonly #nameAddress = this.#arena.address(this.#name, SOCKADDR.V6_BYTES);
  readonly #sizeAddress = this.#arena.address(this.#size, 4);
  readonly #pause: WheelTimer;
  #takesOn = false;
  #isFailing = false;
  readonly #peer = (): SocketAddress => readSocketAddress(this.#arena.bytes, this.#name);

  constructor(loop: EpollLoop, fd: number, handler: AcceptHandler) {
    this.#loop = loop;
    this.#listener = { fd };
    this.#handler = handler;
    this.#pause = new WheelTimer(() => loop.modify(this.#listener, EPOLL.IN));
    const failure = loop.add(this.#listener, EPOLL.IN, this);
    if (failure < 0) handler.failed(failure);
  }

  ready(): void {
    for (let i = 0; i < ACCEPTS_A_TURN && this.#listener.fd >= 0; i++) {
      const fd = this.#loop.descriptors.adopt(this.#accept());
      if (fd >= 0) {
        this.#isFailing = false;
        this.#handler.accepted(new StreamSocket(this.#loop, fd), this.#peer);
      } else if (!this.#goesOn(fd)) {
        this.#takesOn = false;
        return;
      }
    }
  }

  /** Takes in all who wait, before the listener is closed: the kernel would reset them. */
  acceptAll(): void {
    this.#takesOn = true;
    // bounded: clients may come faster than they are taken in
    for (let turns = 0; this.#takesOn && turns < ACCEPT_ALL_TURNS; turns++) this.ready();
  }

  [Symbol.dispose](): void {
    this.#loop.remove(this.#listener);
    this.#loop.timers.cancel(this.#pause);
    this.#listener.fd = -1;
  }

  #accept(): CallResult {
    this.#arena.setU32(this.#size, SOCKADDR.V6_BYTES);
    return orErrno(streamCalls().accept4(this.#listener.fd, this.#nameAddress, this.#sizeAddress, FLAGS));
  }

  /** False: nobody waits, or nobody can be taken in now. */
  #goesOn(failure: Failure): boolean {
    switch (-failure) {
      case ERRNO.EAGAIN:
        return false;
      case ERRNO.EMFILE:
      case ERRNO.ENFILE:
      case ERRNO.ENOBUFS:
      case ERRNO.ENOMEM:
        this.#loop.modify(this.#listener, 0);
        this.#loop.timers.set(this.#pause, ACCEPT_PAUSE_MS);
        if (!this.#isFailing) this.#handler.failed(failure);
        this.#isFailing = true;
        return false;
      default:
        return true; // ECONNABORTED and what accept(2) lists beside it: that client is gone, the next may be there
    }
  }
}
