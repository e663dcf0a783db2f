import type { ProcessOptions } from '../../net/process.ts';

/** Of util-linux, an essential package. */
const SETSID = '/usr/bin/setsid';

/** How terminals present themselves to a command that was told nothing else. */
export const TERMINAL_ENVIRONMENT = { TERM: 'xterm' } as const;
/** Before a client says how large its window is. */
export const TERMINAL_SIZE = { columns: 80, rows: 24 } as const;

/** A command for which its descriptor 0 is to become its own terminal: only the leader of a session can take one. */
export function onTerminal(
  program: string,
  args: readonly string[],
): Pick<ProcessOptions, 'program' | 'args' | 'ownSession'> {
  return { program: SETSID, args: ['-c', program, ...args], ownSession: false };
}
