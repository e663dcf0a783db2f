import type { EntranceKind } from '../packet/decide.ts';
import type { PortState } from './port-state.ts';
import type { RelayContext } from './relay-context.ts';
import { familyOf } from '../../src/net/ip.ts';

/** Where to listen, for whom. */
export interface DoorOptions {
  readonly entrance: EntranceKind;
  readonly address: string;
  readonly port: number;
}

export interface DoorDeps {
  readonly context: RelayContext;
  readonly state: PortState;
}

/** A listening socket of a service port. Disposing stops listening at once; TCP connections go on. */
export interface Door extends Disposable {
  /** Ends flows whose endpoint is gone; TCP has none to end. */
  refresh(): void;
}

/** What to tell people about a failed bind, and what to do. */
export function bindReason(error: NodeJS.ErrnoException, { address, port }: DoorOptions): string {
  const where = `${address} port ${port}`;
  if (error.code === 'EACCES')
    return (
      `${where}: ports below 1024 need the capability net_bind_service; grant it to node ` +
      '(setcap cap_net_bind_service=+ep) or lower sysctl net.ipv4.ip_unprivileged_port_start'
    );
  if (error.code === 'EADDRINUSE')
    return `${where}: another process listens there; stop it or change the service's port`;
  if (error.code === 'EADDRNOTAVAIL')
    return (
      `${where}: the address is not on this host; grant net_admin so that it can be, ` +
      `${familyOf(address) === 'IPv6' ? 'with --engine native, ' : ''}or use a kernel proxy mode`
    );
  if (error.code === 'EMFILE' || error.code === 'ENFILE')
    return `${where}: out of file descriptors; raise the limit (ulimit -n)`;
  return `${where}: ${error.message}`;
}
