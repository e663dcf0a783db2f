import koffi, { type KoffiFunc } from 'koffi';
import { Fault } from '../base/fault.ts';
import { binding } from './native/binding.ts';
import { errnoName } from './native/errno.ts';

/** The socket calls of libc that Node has no words for: datagrams to unix sockets, link layer frames. */
export interface SocketCalls {
  readonly socket: (domain: number, type: number, protocol: number) => number;
  readonly bind: (fd: number, address: Uint8Array, sizeBytes: number) => number;
  readonly setsockopt: (fd: number, level: number, name: number, value: Uint8Array, size: number) => number;
  readonly sendto: (
    fd: number,
    data: Uint8Array,
    sizeBytes: number,
    flags: number,
    address: Uint8Array,
    addressBytes: number,
  ) => number;
  readonly send: KoffiFunc<(fd: number, data: Uint8Array, sizeBytes: number, flags: number) => number>;
  readonly recv: (fd: number, into: Uint8Array, sizeBytes: number, flags: number) => number;
  readonly if_nametoindex: (name: string) => number;
  readonly close: (fd: number) => number;
}

let calls: SocketCalls | undefined;

/** Loaded at first use. Throws Fault FFI where libc cannot be reached. */
export function socketCalls(): SocketCalls {
  calls ??= binding(load);
  return calls;
}

function load(): SocketCalls {
  try {
    const libc = koffi.load(null);
    const call = (signature: string): unknown => libc.func(signature);
    return {
      socket: call('int socket(int domain, int type, int protocol)'),
      bind: call('int bind(int fd, const void *address, unsigned int size)'),
      setsockopt: call('int setsockopt(int fd, int level, int name, const void *value, unsigned int size)'),
      sendto: call(
        'long sendto(int fd, const void *data, unsigned long size, int flags, const void *address, unsigned int length)',
      ),
      send: call('long send(int fd, const void *data, unsigned long size, int flags)'),
      recv: call('long recv(int fd, _Out_ uint8_t *into, unsigned long size, int flags)'),
      if_nametoindex: call('unsigned int if_nametoindex(const char *name)'),
      close: call('int close(int fd)'),
    } as SocketCalls;
  } catch (cause) {
    throw new Fault('FFI', 'the C library of this host cannot be called', { cause });
  }
}

/** The errno word of the call that just failed, for example EPERM. */
export function lastErrno(): string {
  return errnoName(-koffi.errno());
}
