/**
 * Memory of `weft ingress`: 10,000 idle kept connections (limit 100 MB more), and bodies of 1 GB through it, up and
 * down, plain and over TLS (limit 20 MB more). Run: node bench/ingress/memory.ts [connections] [MB]
 */
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { BACKEND, type Proxy, residentBytes, Stage, startWeft } from './stage.ts';

const MB = 1024 * 1024;
const IDLE = Number(process.argv[2] ?? 10_000);
const BODY_BYTES = Number(process.argv[3] ?? 1024) * MB;
const IDLE_LIMIT_MB = 100;
const BODY_LIMIT_MB = 20;
/** Clients come from so many addresses, as they do in life: one has but 28,000 ports. */
const CLIENT_ADDRESSES = 50;
const CHUNK = Buffer.alloc(256 * 1024, 'x');

using stage = new Stage();
const backend = await startBodies();
const proxy = await startWeft(stage, [], process.execArgv);
const rss = (): number => residentBytes(proxy.pids()) / MB;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Reads a whole body and answers how long it was, or sends one. */
async function startBodies(): Promise<http.Server> {
  const server = http.createServer((request, response) => {
    if (request.method === 'GET') {
      response.setHeader('content-length', request.url === '/api/down' ? BODY_BYTES : 2);
      return request.url === '/api/down' ? void pour(response) : response.end('ok');
    }
    let bytes = 0;
    request.on('data', (chunk: Buffer) => (bytes += chunk.length));
    request.on('end', () => response.end(String(bytes)));
  });
  server.listen(BACKEND.port, BACKEND.address);
  await once(server, 'listening');
  return server;
}

/** Writes the body as fast as it is taken. */
async function pour(into: http.OutgoingMessage): Promise<void> {
  for (let left = BODY_BYTES; left > 0; left -= CHUNK.length)
    if (!into.write(CHUNK)) await once(into, 'drain');
  into.end();
}

/** A kept connection that has had one answer. */
function visit(nth: number): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const localAddress = `127.0.1.${1 + (nth % CLIENT_ADDRESSES)}`;
    const socket = net.connect({ host: proxy.address, port: proxy.http, localAddress }, () =>
      socket.write('GET /api/thing HTTP/1.1\r\nHost: bench.test\r\n\r\n'),
    );
    socket.once('data', () => resolve(socket));
    socket.once('error', reject);
  });
}

async function idleConnections(): Promise<void> {
  for (let n = 0; n < 200; n++) (await visit(n)).destroy();
  await pause(1_000);
  const before = rss();
  const sockets: net.Socket[] = [];
  while (sockets.length < IDLE)
    sockets.push(...(await Promise.all(Array.from({ length: 100 }, (_, n) => visit(n)))));
  await pause(2_000);
  const open = sockets.filter((socket) => socket.readyState === 'open').length;
  report(`${open} idle connections`, rss() - before, before, IDLE_LIMIT_MB);
  for (const socket of sockets) socket.destroy();
  await pause(2_000);
}

/** One body through the proxy; the bytes that arrived. */
function transfer(at: Proxy, secure: boolean, up: boolean): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = {
      host: at.address,
      port: secure ? at.https : at.http,
      method: up ? 'POST' : 'GET',
      path: up ? '/api/up' : '/api/down',
      headers: { host: 'bench.test', ...(up && { 'content-length': BODY_BYTES }) },
      servername: 'bench.test',
      rejectUnauthorized: false,
      agent: false,
    };
    const request = (secure ? https : http).request(options, (response) => {
      let text = '';
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        if (up) text += chunk.toString();
        bytes += chunk.length;
      });
      response.on('end', () => resolve(up ? Number(text) : bytes));
    });
    request.on('error', reject);
    if (up) void pour(request);
    else request.end();
  });
}

/** Samples the memory while a body passes. */
async function body(secure: boolean, up: boolean): Promise<void> {
  const before = rss();
  let most = before;
  const sampling = setInterval(() => (most = Math.max(most, rss())), 20);
  const arrived = await transfer(proxy, secure, up);
  clearInterval(sampling);
  if (arrived !== BODY_BYTES) throw new Error(`${arrived} bytes arrived`);
  const way = `${BODY_BYTES / MB} MB ${up ? 'up' : 'down'}${secure ? ' over TLS' : ''}`;
  report(way, most - before, before, BODY_LIMIT_MB);
}

function report(what: string, moreMb: number, beforeMb: number, limitMb: number): void {
  process.stdout.write(
    `${what}: ${moreMb.toFixed(0)} MB more than ${beforeMb.toFixed(0)}, limit ${limitMb} MB\n`,
  );
  if (moreMb > limitMb) process.exitCode = 1;
}

await idleConnections();
for (const secure of [false, true]) for (const up of [true, false]) await body(secure, up);
backend.close();
backend.closeAllConnections();
