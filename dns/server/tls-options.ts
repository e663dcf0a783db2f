import { appendFile, readFileSync } from 'node:fs';
import type { Server } from 'node:net';
import type { TlsOptions, TLSSocket } from 'node:tls';
import { Fault, messageOf } from '../../src/base/fault.ts';
import type { TlsFiles } from '../plugin.ts';

/** Reads certificate files. Throws Fault TLS_FILES that names the file. */
export function readTlsOptions(files: TlsFiles): TlsOptions {
  return {
    cert: read(files.certFile),
    key: read(files.keyFile),
    ...(files.caFile !== undefined && { ca: read(files.caFile) }),
    requestCert: files.clientAuth !== 'nocert',
    // The milder ways are `guardTls`'s: Node has only this one.
    rejectUnauthorized: files.clientAuth === 'require_and_verify',
    minVersion: 'TLSv1.2',
  };
}

/** Turns clients away as `client_auth` says, and writes the secrets of sessions where `keylog` wants them. */
export function guardTls(server: Server, { clientAuth, keyLogFile }: TlsFiles): void {
  server.on('secureConnection', (socket: TLSSocket) => {
    const given = Object.keys(socket.getPeerCertificate()).length > 0;
    const refused =
      (clientAuth === 'require' && !given) ||
      (clientAuth === 'verify_if_given' && given && !socket.authorized);
    if (refused) socket.destroy();
  });
  if (keyLogFile === undefined) return;
  server.on('keylog', (line: Buffer) => {
    appendFile(keyLogFile, line, { mode: 0o600 }, () => {}); // for debugging: nothing depends on it
  });
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new Fault('TLS_FILES', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}
