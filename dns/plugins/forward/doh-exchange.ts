import { Agent, request } from 'undici';
import { Fault } from '../../../src/base/fault.ts';
import { MAX_MESSAGE_BYTES } from '../../wire/encode.ts';

export interface DohExchangeOptions {
  /** `https://host[:port]/path`. */
  readonly url: string;
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly serverName: string | undefined;
  readonly expireMs: number;
}

/** Questions to one upstream over HTTPS (RFC 8484, POST), HTTP/2 where the other side has it. */
export class DohExchange implements AsyncDisposable {
  readonly #agent: Agent;
  readonly #url: string;

  constructor(options: DohExchangeOptions) {
    const { url, ca, cert, key, serverName, expireMs } = options;
    this.#url = url;
    this.#agent = new Agent({
      allowH2: true,
      keepAliveTimeout: expireMs,
      connect: {
        ...(ca !== undefined && { ca }),
        ...(cert !== undefined && { cert }),
        ...(key !== undefined && { key }),
        ...(serverName !== undefined && { servername: serverName }),
      },
    });
  }

  /** Rejects with UPSTREAM_HTTP for a status other than 200 and with the cause when no reply came. */
  async ask(bytes: Uint8Array, timeoutMs: number, signal: AbortSignal): Promise<Uint8Array> {
    const reply = await request(this.#url, {
      dispatcher: this.#agent,
      method: 'POST',
      headers: { 'content-type': 'application/dns-message', accept: 'application/dns-message' },
      body: bytes,
      signal,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    });
    const body = new Uint8Array(await reply.body.arrayBuffer());
    if (reply.statusCode !== 200) {
      throw new Fault('UPSTREAM_HTTP', `${this.#url} answered HTTP ${reply.statusCode}`);
    }
    if (body.length > MAX_MESSAGE_BYTES) throw new Fault('UPSTREAM_HTTP', `${this.#url} answered too much`);
    return body;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.destroy();
  }
}
