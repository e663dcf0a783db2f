import { Fault } from '../../base/fault.ts';
import { familyOf } from '../ip.ts';
import { socketCalls } from '../libc.ts';
import { listenFault } from '../listen-fault.ts';
import {
  AF_INET,
  AF_INET6,
  assertLayout,
  F_DUPFD_CLOEXEC,
  IPPROTO_IPV6,
  IPV6_V6ONLY,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOCKADDR,
  SHUT_READ,
  SOL_SOCKET,
} from './abi.ts';
import { type CallResult, errnoName, type Failure, orErrno } from './errno.ts';
import { type SocketAddress, writeSocketAddress } from './socket-address.ts';
import { localAddressOf, setFreebind, setNoDelay, setOption, setTransparent } from './socket-options.ts';
import { streamCalls } from './stream-calls.ts';

export interface StreamListenerOptions extends SocketAddress {
  /** Connections that may wait for accept. */
  readonly backlog: number;
  /** Others of this user may listen on the same port; the kernel spreads clients over them. */
  readonly reusePort: boolean;
  /** An address that is not this host's (TPROXY). Needs net_admin. */
  readonly transparent?: boolean;
  /** An address that is this host's by a route alone, and on no interface. */
  readonly byRoute?: boolean;
  /** `::` takes IPv4 clients too. */
  readonly dualStack?: boolean;
}

/** A listening TCP socket by its descriptor. Clients wait in the kernel while no thread accepts; whoever opened it closes it. */
export interface StreamListener extends SocketAddress, Disposable {
  readonly fd: number;
  /** Refuses clients from now on, those that wait too; the descriptor stays until it is disposed. */
  refuse(): void;
}

/** Throws Fault LISTEN_FAILED with the errno as its cause's code, FFI, NATIVE_UNSUPPORTED, ADDRESS_INVALID. */
export function openStreamListener(options: StreamListenerOptions): StreamListener {
  assertLayout();
  const { socket, close } = socketCalls();
  const domain = familyOf(options.address) === 'IPv6' ? AF_INET6 : AF_INET;
  const fd = orErrno(socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd < 0) throw callFault(fd, 'socket', options);
  try {
    bindAndListen(fd, options, domain === AF_INET6);
    const { address, port } = localAddressOf(fd) ?? options;
    let isOpen = true;
    return {
      fd,
      address,
      port,
      refuse: () => {
        if (isOpen) streamCalls().shutdown(fd, SHUT_READ);
      },
      [Symbol.dispose]: () => {
        if (isOpen) close(fd);
        isOpen = false;
      },
    };
  } catch (error) {
    close(fd);
    throw error;
  }
}

function bindAndListen(fd: number, options: StreamListenerOptions, six: boolean): void {
  const must = (what: string, failure: Failure): void => {
    if (failure < 0) throw callFault(failure, what, options);
  };
  must('SO_REUSEADDR', setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1));
  if (options.reusePort) must('SO_REUSEPORT', setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1));
  if (options.transparent) must('IP_TRANSPARENT', setTransparent(fd, options.address));
  if (options.byRoute) must('IPV6_FREEBIND', setFreebind(fd, options.address));
  if (six) must('IPV6_V6ONLY', setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, options.dualStack ? 0 : 1));
  must('TCP_NODELAY', setNoDelay(fd)); // what it accepts inherits it
  const name = new Uint8Array(SOCKADDR.V6_BYTES);
  const size = writeSocketAddress(options, name);
  must('bind', orErrno(socketCalls().bind(fd, name, size)));
  must('listen', orErrno(streamCalls().listen(fd, options.backlog)));
}

function callFault(failure: Failure, what: string, wanted: SocketAddress): Fault {
  const errno = errnoName(failure);
  return listenFault({ ...wanted, protocol: 'tcp' }, new Fault(errno, `${what}: ${errno}`));
}

/** Another descriptor of the same socket, for an engine that closes what it was given. */
export function copyDescriptor(fd: number): CallResult {
  return orErrno(streamCalls().fcntl(fd, F_DUPFD_CLOEXEC, 0));
}
