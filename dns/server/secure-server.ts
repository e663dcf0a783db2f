import { createServer, type Server, type TlsOptions } from 'node:tls';
import { TLS_HANDSHAKE_MS } from '../limits.ts';
import type { TlsFiles } from '../block-settings.ts';
import { tlsFilesFault } from './tls-files.ts';
import { guardTls, readTlsOptions } from './tls-options.ts';

/** TLS as certificate files say, for connections that another server accepts. */
export class SecureServer {
  /** Never listens: it is given connections as events. */
  readonly server: Server;
  readonly #texts: string;

  private constructor(server: Server, texts: string) {
    this.server = server;
    this.#texts = texts;
  }

  /** Throws Fault TLS_FILES. */
  static open(files: TlsFiles): SecureServer {
    const options = readTlsOptions(files);
    return new SecureServer(openServer(files, options), textsOf(options, files));
  }

  /** Of the files as they are now: the same while they say the same, with tickets of its own else. Throws Fault TLS_FILES. */
  renewed(files: TlsFiles): SecureServer {
    const options = readTlsOptions(files);
    const texts = textsOf(options, files);
    return texts === this.#texts ? this : new SecureServer(openServer(files, options), texts);
  }
}

function openServer(files: TlsFiles, options: TlsOptions): Server {
  try {
    const server = createServer({
      ALPNProtocols: ['dot'],
      handshakeTimeout: TLS_HANDSHAKE_MS,
      ...options,
    });
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    guardTls(server, files);
    return server;
  } catch (cause) {
    throw tlsFilesFault(files, cause);
  }
}

function textsOf({ cert, key, ca }: TlsOptions, { clientAuth }: TlsFiles): string {
  return [cert, key, ca, clientAuth].map(String).join('\0');
}
