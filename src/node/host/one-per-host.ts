import { connect, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { Fault, hasCode } from '../../base/fault.ts';

/** A holder that is stopped (SIGSTOP) does not say who it is. */
const ANSWER_MS = 1000;

/**
 * Claims a name for this process on its host: an abstract socket (unix(7)) is one a network namespace, as routes and
 * rules are, and ends with its process. Who connects to it reads the process id of its owner.
 * Rejects with Fault ALREADY_RUNNING.
 */
export async function claimHost(name: string, pid: number): Promise<AsyncDisposable> {
  const path = `\0${name}`;
  const server = createServer((socket) => socket.on('error', () => {}).end(String(pid)));
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
  } catch (cause) {
    if (!hasCode(cause, 'EADDRINUSE')) throw cause;
    const holder = await holderOf(path);
    throw new Fault('ALREADY_RUNNING', `${name} runs on this host already (${holder}); stop it first`, {
      cause,
    });
  }
  return {
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void server.close(() => resolve())),
  };
}

async function holderOf(path: string): Promise<string> {
  const socket = connect(path);
  socket.setTimeout(ANSWER_MS, () => socket.destroy());
  try {
    return `process ${await text(socket)}`;
  } catch {
    return 'it does not say which process';
  }
}
