import { TlsContext } from '../../../src/net/native/tls-context.ts';
import type { TlsSessions } from '../../../src/net/native/tls-sessions.ts';
import type { SentTls } from './stream-memory.ts';

/** RFC 7858 section 3.1 knows no name; this is the one that IANA registered for it. */
const PROTOCOL = 'dot';

/** How a thread speaks TLS, and the sessions it has. */
export class TlsManner implements Disposable {
  readonly sessions: TlsSessions;
  readonly clientAuth: SentTls['clientAuth'];
  readonly context: TlsContext;

  /** Throws Fault TLS_CONTEXT. */
  constructor(sessions: TlsSessions, sent: SentTls) {
    this.sessions = sessions;
    this.clientAuth = sent.clientAuth;
    this.context = openDotContext(sent);
  }

  /** Connections that began with it go on. */
  [Symbol.dispose](): void {
    this.context[Symbol.dispose]();
  }
}

/** Throws Fault TLS_CONTEXT, NATIVE_UNSUPPORTED. */
export function openDotContext({ cert, key, ticketKeys, authorities, clientAuth }: SentTls): TlsContext {
  return TlsContext.open({
    cert,
    key,
    ticketKeys,
    minVersion: 'TLSv1.2',
    ciphers: undefined,
    protocol: PROTOCOL,
    ...(clientAuth !== 'nocert' && { clients: { authorities, depthMax: undefined } }),
  });
}
