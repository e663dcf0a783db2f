import { createServer, type Server } from 'node:tls';
import { TLS_HANDSHAKE_MS } from '../limits.ts';
import type { TlsFiles } from '../block-settings.ts';
import { tlsFilesFault } from './tls-files.ts';
import { guardTls, readTlsOptions } from './tls-options.ts';

/**
 * TLS as certificate files say now, for connections that another server accepts: it never listens, and is given them as
 * events. Throws Fault TLS_FILES.
 */
export function openSecureServer(files: TlsFiles): Server {
  const options = readTlsOptions(files);
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
