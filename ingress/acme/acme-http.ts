import { Agent, request } from 'undici';

/** An answer of the ACME server, read whole. */
export interface AcmeAnswer {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  readonly body: string;
}

export interface AcmeHttp extends AsyncDisposable {
  send(method: 'GET' | 'HEAD' | 'POST', url: string, body?: string): Promise<AcmeAnswer>;
}

const BODY_BYTES_MAX = 1024 * 1024;
const TIMEOUT_MS = 30_000;

/** Speaks HTTPS with an ACME server; `ca` are certificates trusted beside the usual ones. */
export function openAcmeHttp(options: { readonly ca: string | undefined }): AcmeHttp {
  const agent = new Agent({
    connect: { ...(options.ca !== undefined && { ca: options.ca }) },
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
    maxResponseSize: BODY_BYTES_MAX,
  });
  return {
    async send(method, url, body) {
      const answer = await request(url, {
        dispatcher: agent,
        method,
        headers: {
          'user-agent': 'weft',
          ...(body !== undefined && { 'content-type': 'application/jose+json' }),
        },
        ...(body !== undefined && { body }),
      });
      return {
        status: answer.statusCode,
        header: (name) => {
          const value = answer.headers[name];
          return Array.isArray(value) ? value[0] : value;
        },
        body: await answer.body.text(),
      };
    },
    [Symbol.asyncDispose]: () => agent.close(),
  };
}
