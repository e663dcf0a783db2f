import { connect } from 'node:net';

/**
 * A program: connects to ADDRESS PORT again and again, one connection after the other, and prints a line for
 * each: the answer, or what went wrong. Ends when its standard input does.
 */
const [address = '', port = ''] = process.argv.slice(2);
const PATIENCE_MS = 20_000;

function once(): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port: Number(port) });
    let text = '';
    socket.setTimeout(PATIENCE_MS, () => {
      resolve('silence');
      socket.destroy();
    });
    socket.on('data', (chunk) => (text += chunk.toString()));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on('end', () => resolve(text));
  });
}

const state = { ended: false };
process.stdin.resume().on('end', () => (state.ended = true));
while (!state.ended) process.stdout.write(`${await once()}\n`);
