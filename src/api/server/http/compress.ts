import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { GZIP_MIN_BYTES } from '../limits.ts';
import type { Reply } from './reply.ts';
import type { ApiRequest } from './request.ts';

const gzipAsync = promisify(gzip);

/** Long replies are compressed for clients that ask for it; short ones and streams never. */
export async function compressed(request: ApiRequest, reply: Reply): Promise<Reply> {
  if (!(reply.body instanceof Uint8Array) || reply.body.length < GZIP_MIN_BYTES) return reply;
  if (!/\bgzip\b/.test(request.headers['accept-encoding'] ?? '')) return reply;
  const body = await gzipAsync(reply.body, { level: 1 });
  return {
    ...reply,
    headers: { ...reply.headers, 'content-encoding': 'gzip', vary: 'Accept-Encoding' },
    body,
  };
}
