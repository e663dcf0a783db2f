import type { Socket } from 'node:net';
import { originalDestinationOf } from './native/socket-options.ts';
import type { SocketAddress } from './native/socket-address.ts';

interface WithHandle {
  readonly _handle?: { readonly fd?: number } | null;
}

/**
 * Where a client wanted to go before the kernel redirected it here (REDIRECT of nf_nat). Undefined for a connection
 * that was not redirected, or is gone already.
 */
export function originalDestination(socket: Socket): SocketAddress | undefined {
  const fd = (socket as Socket & WithHandle)._handle?.fd;
  if (fd === undefined || fd < 0) return undefined;
  return originalDestinationOf(fd, socket.remoteFamily === 'IPv4' ? 'IPv4' : 'IPv6');
}
