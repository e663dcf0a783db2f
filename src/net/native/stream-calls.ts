import koffi from 'koffi';
import { Fault } from '../../base/fault.ts';
import { binding } from './binding.ts';

/** The calls of connections and their loop. Pointers are addresses out of an Arena; failures are -1 and errno. */
interface StreamCalls {
  readonly accept4: (fd: number, name: number, nameBytes: number, flags: number) => number;
  readonly connect: (fd: number, name: Uint8Array, sizeBytes: number) => number;
  readonly listen: (fd: number, backlog: number) => number;
  readonly shutdown: (fd: number, how: number) => number;
  readonly recv: (fd: number, into: number, sizeBytes: number, flags: number) => number;
  readonly send: (fd: number, from: number, sizeBytes: number, flags: number) => number;
  readonly readv: (fd: number, vectors: number, count: number) => number;
  readonly writev: (fd: number, vectors: number, count: number) => number;
  readonly splice: (
    from: number,
    fromOffset: null,
    to: number,
    toOffset: null,
    sizeBytes: number,
    flags: number,
  ) => number;
  readonly socketpair: (domain: number, type: number, protocol: number, fds: Int32Array) => number;
  readonly pipe2: (fds: Int32Array, flags: number) => number;
  readonly fcntl: (fd: number, command: number, argument: number) => number;
  readonly getsockopt: (fd: number, level: number, name: number, value: Uint8Array, size: [number]) => number;
  readonly getsockname: (fd: number, name: Uint8Array, size: [number]) => number;
  readonly epoll_create1: (flags: number) => number;
  readonly epoll_ctl: (epoll: number, operation: number, fd: number, event: number) => number;
  readonly epoll_wait: (epoll: number, events: number, count: number, timeoutMs: number) => number;
  readonly eventfd: (initial: number, flags: number) => number;
  readonly eventfd_read: (fd: number, value: number) => number;
  readonly eventfd_write: (fd: number, value: number) => number;
}

let calls: StreamCalls | undefined;

/** Loaded at first use, once a thread. Throws Fault FFI. */
export function streamCalls(): StreamCalls {
  calls ??= binding(load);
  return calls;
}

function load(): StreamCalls {
  try {
    const libc = koffi.load(null);
    const call = (signature: string): unknown => libc.func(signature);
    return {
      accept4: call('int accept4(int fd, uint64_t name, uint64_t nameBytes, int flags)'),
      connect: call('int connect(int fd, const void *name, unsigned int sizeBytes)'),
      listen: call('int listen(int fd, int backlog)'),
      shutdown: call('int shutdown(int fd, int how)'),
      recv: call('int64_t recv(int fd, uint64_t into, uint64_t sizeBytes, int flags)'),
      send: call('int64_t send(int fd, uint64_t from, uint64_t sizeBytes, int flags)'),
      readv: call('int64_t readv(int fd, uint64_t vectors, int count)'),
      writev: call('int64_t writev(int fd, uint64_t vectors, int count)'),
      splice: call(
        'int64_t splice(int from, void *fromOffset, int to, void *toOffset, uint64_t sizeBytes, unsigned int flags)',
      ),
      socketpair: call('int socketpair(int domain, int type, int protocol, _Out_ int *fds)'),
      pipe2: call('int pipe2(_Out_ int *fds, int flags)'),
      fcntl: call('int fcntl(int fd, int command, long argument)'),
      getsockopt: call(
        'int getsockopt(int fd, int level, int name, void *value, _Inout_ unsigned int *size)',
      ),
      getsockname: call('int getsockname(int fd, void *name, _Inout_ unsigned int *size)'),
      epoll_create1: call('int epoll_create1(int flags)'),
      epoll_ctl: call('int epoll_ctl(int epoll, int operation, int fd, uint64_t event)'),
      epoll_wait: call('int epoll_wait(int epoll, uint64_t events, int count, int timeoutMs)'),
      eventfd: call('int eventfd(unsigned int initial, int flags)'),
      eventfd_read: call('int eventfd_read(int fd, uint64_t value)'),
      eventfd_write: call('int eventfd_write(int fd, uint64_t value)'),
    } as StreamCalls;
  } catch (cause) {
    throw new Fault('FFI', 'the stream calls of this host cannot be reached', { cause });
  }
}
