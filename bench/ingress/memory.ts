/**
 * Memory of `weft ingress`: 10,000 idle kept connections (limit 100 MB more), and a body of 1 GB sent through it (limit
 * 20 MB more). Run: node bench/ingress/memory.ts
 */
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { BACKEND, residentBytes, Stage, startWeft } from './stage.ts';

const MB = 1024 * 1024;
const IDLE = Number(process.argv[2] ?? 10_000);
const BODY_BYTES = 1024 * MB;
const IDLE_LIMIT_MB = 100;
const BODY_LIMIT_MB = 20;

using stage = new Stage();
/** Reads the whole body, then answers how long it was. */
const backend = http.createServer((request, response) => {
  let bytes = 0;
  request.on('data', (chunk: Buffer) => (bytes += chunk.length));
  request.on('end', () => response.end(String(bytes)));
});
backend.listen(BACKEND.port, BACKEND.address);
await once(backend, 'listening');
const proxy = await startWeft(stage, [], process.execArgv);
const rss = (): number => residentBytes(proxy.pids()) / MB;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const REQUEST = 'GET /api/thing HTTP/1.1\r\nHost: bench.test\r\n\r\n';

/** A kept connection that has had one answer. */
function visit(): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: proxy.address, port: proxy.http }, () => socket.write(REQUEST));
    socket.once('data', () => resolve(socket));
    socket.once('error', reject);
  });
}

for (let n = 0; n < 200; n++) (await visit()).destroy();
await pause(1_000);
const before = rss();
const sockets: net.Socket[] = [];
while (sockets.length < IDLE) sockets.push(...(await Promise.all(Array.from({ length: 100 }, visit))));
await pause(2_000);
const idleMb = rss() - before;
process.stdout.write(
  `${IDLE} idle connections: ${idleMb.toFixed(0)} MB more than ${before.toFixed(0)}, limit ${IDLE_LIMIT_MB} MB\n`,
);
for (const socket of sockets) socket.destroy();
await pause(2_000);

/** Sends the body and samples the memory on the way; the most of it. */
async function sendBody(): Promise<number> {
  const chunk = Buffer.alloc(256 * 1024, 'x');
  let most = rss();
  const sampling = setInterval(() => (most = Math.max(most, rss())), 20);
  const received = await new Promise<number>((resolve, reject) => {
    const request = http.request(
      {
        host: proxy.address,
        port: proxy.http,
        method: 'POST',
        path: '/api/up',
        headers: { host: 'bench.test', 'content-length': BODY_BYTES },
      },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => resolve(Number(text)));
      },
    );
    request.on('error', reject);
    let left = BODY_BYTES;
    const more = (): void => {
      while (left > 0) {
        left -= chunk.length;
        if (!request.write(chunk)) return void request.once('drain', more);
      }
      request.end();
    };
    more();
  });
  clearInterval(sampling);
  if (received !== BODY_BYTES) throw new Error(`the backend got ${received} bytes`);
  return most;
}

const fresh = rss();
const first = (await sendBody()) - fresh;
process.stdout.write(
  `the first body of ${BODY_BYTES / MB} MB: ${first.toFixed(0)} MB more than ${fresh.toFixed(0)}\n`,
);
const settled = rss();
const bodyMb = (await sendBody()) - settled;
process.stdout.write(
  `a body of ${BODY_BYTES / MB} MB: ${bodyMb.toFixed(0)} MB more than ${settled.toFixed(0)}, limit ${BODY_LIMIT_MB} MB\n`,
);
backend.close();
backend.closeAllConnections();
if (idleMb > IDLE_LIMIT_MB || bodyMb > BODY_LIMIT_MB) process.exitCode = 1;
