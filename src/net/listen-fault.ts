import { Fault, messageOf, hasCode } from '../base/fault.ts';
import { joinHostPort } from './ip.ts';

/** What was to be listened on; `protocol` where the port number alone does not say it. */
interface Wanted {
  readonly address: string;
  readonly port: number;
  readonly protocol?: 'tcp' | 'udp';
}

/** An address could not be listened on: says why, in words for whoever chose it. */
export function listenFault(
  { address, port, protocol }: Wanted,
  cause: unknown,
  code = 'LISTEN_FAILED',
): Fault {
  const at = joinHostPort(address, port) + (protocol === undefined ? '' : `/${protocol}`);
  const why = hasCode(cause, 'EADDRINUSE') ? 'the port is in use' : messageOf(cause);
  return new Fault(code, `cannot listen on ${at}: ${why}`, { cause });
}
