import { messageOf } from '../base/fault.ts';
import { joinHostPort } from '../net/ip.ts';
import { EXIT_FAILURE, EXIT_USAGE, ExitError } from './context.ts';

/** The flags that say where to listen, by name, with what they say. */
export type ListenFlags = Readonly<Record<string, { readonly host: string; readonly port: number }>>;

/** Why something did not start, in one sentence that says what and what to do. */
export function startFault(error: unknown, listen: ListenFlags = {}): ExitError {
  const code = errnoOf(error);
  const whole = messageOf(error);
  const message = whole.replace(/\.$/, '');
  const flag = Object.keys(listen).find((name) =>
    message.includes(joinHostPort(listen[name]!.host, listen[name]!.port)),
  );
  const other = flag === undefined ? 'choose another one (see --help)' : `choose another one with ${flag}`;
  if (code === 'EADDRINUSE')
    return new ExitError(
      EXIT_FAILURE,
      `${message}. Another program or another weft holds it: stop that, or ${other}.`,
    );
  if (code === 'EADDRNOTAVAIL')
    return new ExitError(EXIT_FAILURE, `${message}. This host has no such address: ${other}.`);
  if (code === 'EACCES' && /listen/.test(message))
    return new ExitError(
      EXIT_FAILURE,
      `${message}. Ports below 1024 need root or CAP_NET_BIND_SERVICE: ${other}.`,
    );
  if (code.endsWith('_INVALID')) return new ExitError(EXIT_USAGE, whole);
  return new ExitError(EXIT_FAILURE, whole);
}

/** The system's own error code wherever it lies in the chain of causes, else the outermost code. */
function errnoOf(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException;
    if (typeof code === 'string' && /^E[A-Z]+$/.test(code)) return code;
  }
  return (error as NodeJS.ErrnoException).code ?? '';
}
