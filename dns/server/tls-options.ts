import { readFileSync } from 'node:fs';
import type { TlsOptions } from 'node:tls';
import { Fault, messageOf } from '../../src/base/fault.ts';
import type { TlsFiles } from '../plugin.ts';

/** Reads certificate files. Throws Fault TLS_FILES that names the file. */
export function readTlsOptions(files: TlsFiles): TlsOptions {
  const asks = files.clientAuth !== 'nocert';
  const requires = files.clientAuth === 'require' || files.clientAuth === 'require_and_verify';
  return {
    cert: read(files.certFile),
    key: read(files.keyFile),
    ...(files.caFile !== undefined && { ca: read(files.caFile) }),
    requestCert: asks,
    rejectUnauthorized: requires || files.clientAuth === 'verify_if_given',
    minVersion: 'TLSv1.2',
  };
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new Fault('TLS_FILES', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}
