import { constants } from 'node:crypto';
import { appendFile } from 'node:fs';
import type { Server } from 'node:net';
import type { TlsOptions, TLSSocket } from 'node:tls';
import type { TlsFiles } from '../block-settings.ts';
import { mayAsk } from './client-auth.ts';
import { readTlsFile } from './tls-files.ts';

/** Reads certificate files. Throws Fault TLS_FILES that names the file. */
export function readTlsOptions(files: TlsFiles): TlsOptions {
  return {
    cert: readTlsFile(files.certFile),
    key: readTlsFile(files.keyFile),
    ...(files.caFile !== undefined && { ca: readTlsFile(files.caFile) }),
    requestCert: files.clientAuth !== 'nocert',
    // The milder ways are `guardTls`'s: Node has only this one.
    rejectUnauthorized: files.clientAuth === 'require_and_verify',
    minVersion: 'TLSv1.2',
    // of no use to DNS, and dear to us (RFC 7525 section 3.5)
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  };
}

/** Turns clients away as `client_auth` says, and writes the secrets of sessions where `keylog` wants them. */
export function guardTls(server: Server, { clientAuth, keyLogFile }: TlsFiles): void {
  server.on('secureConnection', (socket: TLSSocket) => {
    const given = Object.keys(socket.getPeerCertificate()).length > 0;
    if (!mayAsk(clientAuth, { given, trusted: socket.authorized })) socket.destroy();
  });
  if (keyLogFile === undefined) return;
  server.on('keylog', (line: Buffer) => {
    appendFile(keyLogFile, line, { mode: 0o600 }, () => {}); // for debugging: nothing depends on it
  });
}
