import { hasCode, messageOf } from '../base/fault.ts';
import { joinHostPort } from '../net/ip.ts';
import { EXIT_FAILURE, EXIT_USAGE, ExitError } from './context.ts';

/** The flags that say where to listen, by name, with what they say. */
export type ListenFlags = Readonly<Record<string, { readonly host: string; readonly port: number }>>;

/** Why something did not start, in one sentence that says what and what to do. */
export function startFault(error: unknown, listen: ListenFlags = {}): ExitError {
  const whole = messageOf(error);
  const message = whole.replace(/\.$/, '');
  const flag = Object.keys(listen).find((name) =>
    message.includes(joinHostPort(listen[name]!.host, listen[name]!.port)),
  );
  const other = flag === undefined ? 'choose another one (see --help)' : `choose another one with ${flag}`;
  if (hasCode(error, 'EADDRINUSE'))
    return new ExitError(
      EXIT_FAILURE,
      `${message}. Another program or another weft holds it: stop that, or ${other}.`,
    );
  if (hasCode(error, 'EADDRNOTAVAIL'))
    return new ExitError(EXIT_FAILURE, `${message}. This host has no such address: ${other}.`);
  if (hasCode(error, 'EACCES') && /listen/.test(message))
    return new ExitError(
      EXIT_FAILURE,
      `${message}. Ports below 1024 need root or CAP_NET_BIND_SERVICE: ${other}.`,
    );
  if ((error as { code?: string }).code?.endsWith('_INVALID')) return new ExitError(EXIT_USAGE, whole);
  return new ExitError(EXIT_FAILURE, whole);
}
