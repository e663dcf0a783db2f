import type { Agent, request as undiciRequest } from 'undici';
import { Fault } from '../../../src/base/fault.ts';
import { MAX_MESSAGE_BYTES } from '../../wire/encode.ts';

export interface DohExchangeOptions {
  /** `https://host[:port]/path`. */
  readonly url: string;
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly serverName: string | undefined;
  readonly method: 'GET' | 'POST';
  readonly expireMs: number;
}

const MEDIA_TYPE = 'application/dns-message';

/** Questions to one upstream over HTTPS (RFC 8484), HTTP/2 where the other side has it. */
export class DohExchange implements AsyncDisposable {
  readonly #options: DohExchangeOptions;
  /** Made with the first question: few servers have such an upstream, and the client takes long to load. */
  #client: Promise<{ agent: Agent; request: typeof undiciRequest }> | undefined;

  constructor(options: DohExchangeOptions) {
    this.#options = options;
  }

  /** Rejects with UPSTREAM_HTTP for a status other than 200 and with the cause when no reply came. */
  async ask(bytes: Uint8Array, timeoutMs: number, signal: AbortSignal): Promise<Uint8Array> {
    this.#client ??= openClient(this.#options);
    const { agent, request } = await this.#client;
    const { url, method } = this.#options;
    const target = method === 'POST' ? url : `${url}?dns=${Buffer.from(bytes).toString('base64url')}`;
    const reply = await request(target, {
      dispatcher: agent,
      method,
      headers: { accept: MEDIA_TYPE, ...(method === 'POST' && { 'content-type': MEDIA_TYPE }) },
      body: method === 'POST' ? bytes : null,
      signal,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    });
    const body = new Uint8Array(await reply.body.arrayBuffer());
    if (reply.statusCode !== 200) {
      throw new Fault('UPSTREAM_HTTP', `${url} answered HTTP ${reply.statusCode}`);
    }
    if (body.length > MAX_MESSAGE_BYTES) throw new Fault('UPSTREAM_HTTP', `${url} answered too much`);
    return body;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#client)?.agent.destroy();
  }
}

async function openClient(
  options: DohExchangeOptions,
): Promise<{ agent: Agent; request: typeof undiciRequest }> {
  const { Agent, request } = await import('undici');
  const { ca, cert, key, serverName, expireMs } = options;
  const agent = new Agent({
    allowH2: true,
    keepAliveTimeout: expireMs,
    connect: {
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
      ...(serverName !== undefined && { servername: serverName }),
    },
  });
  return { agent, request };
}
