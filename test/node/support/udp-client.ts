/**
 * Asks a UDP echo, each time from a new port, and counts what never came back.
 * Run: node udp-client.ts ADDRESS PORT SECONDS
 */
import { createSocket } from 'node:dgram';

const [address = '', port = '', seconds = ''] = process.argv.slice(2);
/** Long: what is late on a loaded machine is not lost. */
const LOST_MS = 10_000;

function ask(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    const end = (arrived: boolean): void => {
      clearTimeout(timer);
      socket.close();
      resolve(arrived);
    };
    const timer = setTimeout(() => end(false), LOST_MS);
    socket.on('message', () => end(true));
    socket.on('error', () => end(false));
    socket.send('hello', Number(port), address);
  });
}

const end = performance.now() + Number(seconds) * 1000;
let [asked, lost] = [0, 0];
while (performance.now() < end) {
  asked++;
  if (!(await ask())) lost++;
}
process.stdout.write(`${JSON.stringify({ asked, lost })}\n`);
