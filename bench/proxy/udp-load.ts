/**
 * Load for the benchmark: each socket keeps one datagram of 100 bytes on its way and sends the next when it is back, or after
 * a second. Arguments: address port sockets seconds. Prints datagrams that came back, and those that did not, as JSON.
 */
import { createSocket } from 'node:dgram';

const [address = '127.0.0.1', port = '0', sockets = '1', seconds = '1'] = process.argv.slice(2);
const LOST_MS = 1_000;
const message = Buffer.alloc(100, 'x');
let requests = 0;
let losses = 0;

function start(): void {
  const socket = createSocket('udp4');
  let sentMs = 0;
  const send = (): void => {
    sentMs = performance.now();
    socket.send(message);
  };
  socket.on('message', () => {
    requests++;
    send();
  });
  socket.on('error', () => losses++);
  socket.connect(Number(port), address, send);
  setInterval(() => {
    if (performance.now() - sentMs < LOST_MS) return;
    losses++;
    send();
  }, LOST_MS);
}

for (let i = 0; i < Number(sockets); i++) start();
setTimeout(
  () => {
    process.stdout.write(JSON.stringify({ requests, losses }), () => process.exit(0));
  },
  Number(seconds) * 1_000,
);
