import { hasCode, messageOf } from '../base/fault.ts';
import { joinHostPort } from '../net/ip.ts';
import { EXIT_FAILURE, EXIT_USAGE, ExitError } from './context.ts';

/** An address to listen on, and the flag that says it. */
export type ListenFlag = readonly [flag: string, at: { readonly host: string; readonly port: number }];

/**
 * Why something did not start, in one sentence that says what and what to do.
 * @param unnamed what to do about an address that none of the flags says
 */
export function startFault(
  error: unknown,
  listen: readonly ListenFlag[] = [],
  unnamed = 'choose another one (see --help)',
): ExitError {
  const whole = messageOf(error);
  if (hasCode(error, 'ALREADY_RUNNING')) return new ExitError(EXIT_FAILURE, whole);
  const message = whole.replace(/\.$/, '');
  const [flag] = listen.find(([, { host, port }]) => message.includes(joinHostPort(host, port))) ?? [];
  const other = flag === undefined ? unnamed : `choose another one with ${flag}`;
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
