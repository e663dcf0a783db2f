import { createSocket } from 'node:dgram';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { frame, FrameReader } from '../../../dns/server/framing.ts';

export interface Target {
  readonly address: string;
  readonly port: number;
}

const PATIENCE_MS = 25_000;

/** One datagram there, one back. */
export function askUdp(to: Target, bytes: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(to.address.includes(':') ? 'udp6' : 'udp4');
    const timer = setTimeout(() => {
      socket.close();
      reject(new Error('no answer over udp'));
    }, PATIENCE_MS);
    socket.on('message', (reply) => {
      clearTimeout(timer);
      socket.close();
      resolve(reply);
    });
    socket.send(bytes, to.port, to.address);
  });
}

/** All messages that come back until `enough` says so. */
export function askStream(
  to: Target,
  bytes: Uint8Array,
  options: { tls?: { ca: string }; enough?: (replies: readonly Uint8Array[]) => boolean } = {},
): Promise<Uint8Array[]> {
  const { tls, enough = (replies) => replies.length >= 1 } = options;
  return new Promise((resolve, reject) => {
    const at = { host: to.address, port: to.port };
    const socket = tls ? connectTls({ ...at, ...tls, servername: 'localhost' }) : connect(at);
    const frames = new FrameReader();
    const replies: Uint8Array[] = [];
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('no answer over tcp')));
    socket.on('error', reject);
    socket.on('close', () => resolve(replies));
    socket.on('data', (chunk: Uint8Array) => {
      replies.push(...frames.push(chunk));
      if (enough(replies)) socket.destroy();
    });
    socket.write(frame(bytes));
  });
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: Uint8Array;
}

/** One HTTP/2 request to /dns-query (or another path). */
export function askHttp2(
  to: Target,
  ca: string,
  request: { method: 'GET' | 'POST' | 'PUT'; path?: string; body?: Uint8Array; contentType?: string },
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`https://localhost:${to.port}`, { ca, host: to.address });
    session.on('error', reject);
    const stream = session.request({
      ':method': request.method,
      ':path': request.path ?? '/dns-query',
      ...(request.method === 'POST' && { 'content-type': request.contentType ?? 'application/dns-message' }),
    });
    const chunks: Uint8Array[] = [];
    let headers: Record<string, unknown> = {};
    stream.on('response', (got) => (headers = got));
    stream.on('data', (chunk: Uint8Array) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('end', () => {
      session.close();
      resolve({ status: Number(headers[':status']), headers, body: new Uint8Array(Buffer.concat(chunks)) });
    });
    stream.end(request.body);
  });
}
