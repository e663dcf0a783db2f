import type { ConnectionFacts } from '../http/exchange.ts';
import { Fields } from '../http/fields.ts';
import { isAuthority } from '../http/framing.ts';
import { NO_BODY, type RequestHead, UNKNOWN_LENGTH } from '../http/message.ts';

/** A request somebody wants explained, as it would arrive at the listener. */
export interface Question {
  readonly head: RequestHead;
  readonly connection: ConnectionFacts;
}

/** How a question is asked: on the command line and, one a line, as JSON. */
export interface AskedRequest {
  readonly method?: string;
  /** Absolute URL; or host and path apart. */
  readonly url?: string;
  readonly host?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Present = over TLS with this server name; null = without one. */
  readonly tls?: { readonly sni: string | null };
  readonly clientIp?: string;
  readonly body?: { readonly bytes: number; readonly chunked?: boolean };
}

const HTTP_PORT = 80;
const HTTPS_PORT = 443;

/** The request as a listener would see it; a string says what is wrong with the question. */
export function readQuestion(asked: AskedRequest): Question | string {
  const place = asked.url === undefined ? fromParts(asked) : fromUrl(asked.url);
  if (typeof place === 'string') return place;
  const fields = Fields.of(...Object.entries(asked.headers ?? {}));
  const authority = fields.get('host') ?? place.authority;
  // HTTP/1.0 does without a host
  if (authority !== '' && !isAuthority(authority)) return `host ${JSON.stringify(authority)} is no host name`;
  const length = asked.body === undefined ? NO_BODY : asked.body.chunked ? UNKNOWN_LENGTH : asked.body.bytes;
  const client = asked.clientIp ?? '127.0.0.1';
  return {
    head: {
      method: (asked.method ?? 'GET').toUpperCase(),
      target: place.target,
      version: authority === '' ? 10 : 11,
      authority,
      fields,
      bodyLength: length,
      keepAlive: true,
      upgrade: fields.get('upgrade')?.toLowerCase(),
      expectContinue: false,
      connectionNames: undefined,
    },
    connection: {
      clientAddress: client,
      clientPort: 40_000,
      peerAddress: client,
      localPort: place.secure ? HTTPS_PORT : HTTP_PORT,
      secure: place.secure,
      tls: place.secure
        ? {
            serverName: place.serverName,
            protocol: 'TLSv1.3',
            cipher: '',
            client: undefined,
            clientAuthority: undefined,
            checkedBy: undefined,
          }
        : undefined,
      proxiedPort: undefined,
    },
  };
}

interface Place {
  readonly authority: string;
  readonly target: string;
  readonly secure: boolean;
  readonly serverName: string | undefined;
}

function fromParts({ host = '', path = '/', tls }: AskedRequest): Place | string {
  if (!/^\/[^\u0000-\u0020#\u007f]*$/.test(path)) return `path ${JSON.stringify(path)} is no request target`;
  return {
    authority: host,
    target: path,
    secure: tls !== undefined,
    serverName: tls?.sni?.toLowerCase() ?? undefined,
  };
}

/** The target stays as written: a URL parser would already remove the dots and escapes that are asked about. */
function fromUrl(text: string): Place | string {
  const parts = /^(https?|wss?):\/\/([^/?#\s]+)([^#\s]*)/i.exec(text);
  if (!parts) return `${JSON.stringify(text)} is no http or https URL`;
  const [, scheme, authority, rest] = parts as unknown as [string, string, string, string];
  const secure = /^(https|wss)$/i.test(scheme);
  const name = authority.replace(/:\d*$/, '').toLowerCase();
  return {
    authority,
    target: rest.startsWith('/') ? rest : `/${rest}`,
    secure,
    serverName: secure && !/^[\d.]+$|^\[/.test(name) ? name : undefined,
  };
}
