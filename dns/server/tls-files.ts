import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Fault, messageOf } from '../../src/base/fault.ts';
import type { TlsFiles } from '../block-settings.ts';

/** Throws Fault TLS_FILES. */
export function readTlsFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new Fault('TLS_FILES', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}

/** Of files that can be read and not be used. */
export function tlsFilesFault({ certFile, keyFile }: TlsFiles, cause: unknown): Fault {
  return new Fault('TLS_FILES', `cannot use ${certFile} and ${keyFile}: ${messageOf(cause)}`, { cause });
}

/** The same as long as all of the files, and who must show a certificate; one that cannot be read says nothing. */
export function tlsFilesDigest(all: readonly TlsFiles[]): string {
  const hash = createHash('sha256');
  for (const { certFile, keyFile, caFile, clientAuth } of all) {
    for (const path of [certFile, keyFile, caFile]) hash.update(digestOf(path));
    hash.update(`${clientAuth}\n`);
  }
  return hash.digest('hex');
}

function digestOf(path: string | undefined): Uint8Array {
  const hash = createHash('sha256');
  try {
    if (path !== undefined) hash.update(readFileSync(path));
  } catch {
    hash.update('unreadable'); // whoever needs it says so
  }
  return hash.digest();
}
