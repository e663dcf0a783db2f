/**
 * Load for the benchmark. keep: each connection sends 1 KB and waits for it to come back, again and again; new: on a new
 * connection each time; stream: sends without waiting what comes back.
 * Arguments: address port connections seconds keep|new|stream. Prints requests, bytes that came back, and failures as JSON.
 */
import { connect } from 'node:net';

const [address = '127.0.0.1', port = '0', connections = '1', seconds = '1', kind = 'keep'] =
  process.argv.slice(2);
const isStream = kind === 'stream';
const SIZE_BYTES = isStream ? 262_144 : 1_024;
const message = Buffer.alloc(SIZE_BYTES, 'x');
let requests = 0;
let bytes = 0;
let failures = 0;
let running = true;

function start(): void {
  const socket = connect({ host: address, port: Number(port), noDelay: true });
  let received = 0;
  const fill = (): void => {
    if (!running) return void socket.end();
    while (socket.write(message));
  };
  socket.on('connect', () => (isStream ? fill() : socket.write(message)));
  if (isStream) socket.on('drain', fill);
  socket.on('data', (chunk) => {
    bytes += running ? chunk.length : 0;
    received += chunk.length;
    if (isStream || received < SIZE_BYTES) return;
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
    process.stdout.write(JSON.stringify({ requests, bytes, failures }));
    setTimeout(() => process.exit(0), 200);
  },
  Number(seconds) * 1_000,
);
