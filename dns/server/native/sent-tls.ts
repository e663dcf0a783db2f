import { randomBytes } from 'node:crypto';
import { rootCertificates } from 'node:tls';
import { Fault } from '../../../src/base/fault.ts';
import { TICKET_KEYS_BYTES } from '../../../src/net/native/tls-context.ts';
import type { TlsFiles } from '../../block-settings.ts';
import { readTlsFile, tlsFilesFault } from '../tls-files.ts';
import type { SentTls } from './stream-memory.ts';
import { openDotContext } from './tls-manner.ts';

/** Reads certificate files, and tries them. Throws Fault TLS_FILES that names what is wrong; NATIVE_UNSUPPORTED. */
export function readSentTls(files: TlsFiles): SentTls {
  const { certFile, keyFile, caFile, clientAuth } = files;
  const sent: SentTls = {
    cert: readTlsFile(certFile).toString(),
    key: readTlsFile(keyFile).toString(),
    ticketKeys: randomBytes(TICKET_KEYS_BYTES),
    authorities: authoritiesOf(caFile, clientAuth),
    clientAuth,
  };
  try {
    openDotContext(sent)[Symbol.dispose]();
  } catch (cause) {
    if (!(cause instanceof Fault && cause.code === 'TLS_CONTEXT')) throw cause;
    throw tlsFilesFault(files, cause);
  }
  return sent;
}

/** Without a file those that Node trusts, as node:tls does. */
function authoritiesOf(caFile: string | undefined, clientAuth: SentTls['clientAuth']): string {
  if (caFile !== undefined) return readTlsFile(caFile).toString();
  return clientAuth === 'nocert' ? '' : rootCertificates.join('\n');
}
