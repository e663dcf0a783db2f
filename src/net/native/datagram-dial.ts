import { socketCalls } from '../libc.ts';
import { AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCKADDR } from './abi.ts';
import type { Descriptor, EpollLoop } from './epoll-loop.ts';
import { type Failure, orErrno } from './errno.ts';
import { streamCalls } from './stream-calls.ts';

/** A UDP socket that speaks with one peer, in a loop's table. Lets go of its number when it closes. */
export class ConnectedDatagrams implements Descriptor, Disposable {
  readonly #loop: EpollLoop;
  #fd: number;

  private constructor(loop: EpollLoop, fd: number) {
    this.#loop = loop;
    this.#fd = fd;
  }

  /** `name`: the peer, of socketName. A Failure where it cannot be had: EMFILE, ENETUNREACH. */
  static dial(loop: EpollLoop, name: Uint8Array): ConnectedDatagrams | Failure {
    const domain = name.length === SOCKADDR.V6_BYTES ? AF_INET6 : AF_INET;
    const opened = orErrno(socketCalls().socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const fd = loop.descriptors.adopt(opened);
    if (fd < 0) return fd;
    const failure = orErrno(streamCalls().connect(fd, name, name.length));
    if (failure === 0) return new ConnectedDatagrams(loop, fd);
    loop.descriptors.close(fd);
    return failure;
  }

  get fd(): number {
    return this.#fd;
  }

  [Symbol.dispose](): void {
    const fd = this.#fd;
    if (fd < 0) return;
    this.#fd = -1;
    this.#loop.forget(fd);
    this.#loop.descriptors.close(fd);
  }
}
