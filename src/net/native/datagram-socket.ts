import { Fault } from '../../base/fault.ts';
import { familyOf } from '../ip.ts';
import { socketCalls } from '../libc.ts';
import { listenFault } from '../listen-fault.ts';
import {
  AF_INET,
  AF_INET6,
  assertLayout,
  IP_PKTINFO,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_RECVPKTINFO,
  IPV6_V6ONLY,
  SO_RCVBUF,
  SO_RCVTIMEO,
  SO_REUSEPORT,
  SO_SNDBUF,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCKADDR,
  SOL_SOCKET,
} from './abi.ts';
import { callFault } from './datagram-calls.ts';
import { errnoName, type Failure } from './errno.ts';
import { type SocketAddress, writeSocketAddress } from './socket-address.ts';
import { localAddressOf, setFreebind, setOption } from './socket-options.ts';

export interface DatagramSocketOptions extends SocketAddress {
  /** Others of this process may bind the same port; the kernel spreads clients over them. */
  readonly reusePort: boolean;
  readonly bufferBytes: number;
  /** An address that is this host's by a route alone, and on no interface. */
  readonly byRoute?: boolean;
  /** How long a blocking receive waits at most; absent: as long as it takes. */
  readonly receiveTimeoutMs?: number;
}

/** A bound UDP socket by its descriptor. Whoever opened it closes it, after everybody stopped using it. */
export interface DatagramSocket extends SocketAddress, Disposable {
  readonly fd: number;
  /** Bound to no address of its own: each datagram says where it was sent to, and answers must leave from there. */
  readonly wildcard: boolean;
}

/** Throws Fault LISTEN_FAILED, FFI or NATIVE_UNSUPPORTED. */
export function openDatagramSocket(options: DatagramSocketOptions): DatagramSocket {
  assertLayout();
  const { socket, close } = socketCalls();
  const six = familyOf(options.address) === 'IPv6';
  const fd = socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw callFault('no UDP socket');
  try {
    const wildcard = options.address === '::' || options.address === '0.0.0.0';
    configure(fd, options, { six, wildcard });
    bindTo(fd, options);
    const { address, port } = localAddressOf(fd) ?? options;
    let isOpen = true;
    return {
      fd,
      wildcard,
      address,
      port,
      [Symbol.dispose]: () => {
        // once: by then the number may be another's
        if (isOpen) close(fd);
        isOpen = false;
      },
    };
  } catch (error) {
    close(fd);
    throw error;
  }
}

function configure(
  fd: number,
  { address, reusePort, bufferBytes, byRoute, receiveTimeoutMs }: DatagramSocketOptions,
  { six, wildcard }: { six: boolean; wildcard: boolean },
): void {
  // the kernel may grant smaller buffers: not fatal
  setOption(fd, SOL_SOCKET, SO_RCVBUF, bufferBytes);
  setOption(fd, SOL_SOCKET, SO_SNDBUF, bufferBytes);
  if (receiveTimeoutMs !== undefined)
    must(setOption(fd, SOL_SOCKET, SO_RCVTIMEO, ...timeval(receiveTimeoutMs)), 'SO_RCVTIMEO');
  if (reusePort) must(setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1), 'SO_REUSEPORT');
  if (byRoute) must(setFreebind(fd, address), 'IPV6_FREEBIND');
  if (six) must(setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, wildcard ? 0 : 1), 'IPV6_V6ONLY');
  if (!wildcard) return;
  must(
    six ? setOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) : setOption(fd, IPPROTO_IP, IP_PKTINFO, 1),
    'PKTINFO',
  );
}

function bindTo(fd: number, options: SocketAddress): void {
  const name = new Uint8Array(SOCKADDR.V6_BYTES);
  const size = writeSocketAddress(options, name);
  if (socketCalls().bind(fd, name, size) === 0) return;
  throw listenFault({ ...options, protocol: 'udp' }, callFault('bind'));
}

function must(failure: Failure, option: string): void {
  if (failure < 0) throw new Fault(errnoName(failure), `${option}: ${errnoName(failure)}`);
}

/** struct timeval: seconds and microseconds, each 64 bits. */
function timeval(milliseconds: number): number[] {
  return [Math.floor(milliseconds / 1000), 0, (milliseconds % 1000) * 1000, 0];
}
