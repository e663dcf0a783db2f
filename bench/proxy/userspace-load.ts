/**
 * Load for the benchmark: each connection sends 1 KB and waits for it to come back, again and again.
 * Arguments: address port connections seconds keep|new. Prints requests and failures as JSON.
 */
import { connect } from 'node:net';

const SIZE_BYTES = 1_024;
const [address = '127.0.0.1', port = '0', connections = '1', seconds = '1', kind = 'keep'] =
  process.argv.slice(2);
const message = Buffer.alloc(SIZE_BYTES, 'x');
let requests = 0;
let failures = 0;
let running = true;

function start(): void {
  const socket = connect({ host: address, port: Number(port), noDelay: true });
  let received = 0;
  socket.on('connect', () => socket.write(message));
  socket.on('data', (chunk) => {
    received += chunk.length;
    if (received < SIZE_BYTES) return;
    received = 0;
    if (running) requests++;
    if (running && kind === 'keep') socket.write(message);
    else socket.end();
  });
  socket.on('error', () => failures++);
  socket.on('close', () => {
    if (running) start();
  });
}

for (let i = 0; i < Number(connections); i++) start();
setTimeout(
  () => {
    running = false;
    process.stdout.write(JSON.stringify({ requests, failures }));
    setTimeout(() => process.exit(0), 200);
  },
  Number(seconds) * 1_000,
);
