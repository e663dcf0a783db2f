import { messageOf } from '../base/fault.ts';
import { EXIT_FAILURE, EXIT_USAGE, ExitError } from './context.ts';

/** Why something did not start, in one sentence that says what and what to do. */
export function startFault(error: unknown): ExitError {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  const message = messageOf(error);
  if (code === 'EADDRINUSE') {
    return new ExitError(
      EXIT_FAILURE,
      `${message}. Another program (or another weft) holds that address: stop it, or choose another one (see --help).`,
    );
  }
  if (code === 'EACCES')
    return new ExitError(
      EXIT_FAILURE,
      `${message}. Ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher one.`,
    );
  if (code.endsWith('_INVALID')) return new ExitError(EXIT_USAGE, message);
  return new ExitError(EXIT_FAILURE, message);
}
