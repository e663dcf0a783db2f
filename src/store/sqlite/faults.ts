import { Fault, messageOf } from '../../base/fault.ts';
import * as store from '../store.ts';

/** What a failed commit means. Anything not known to have written nothing leaves the outcome unknown. */
export function faultOf(error: unknown, path: string): Fault {
  if (error instanceof Fault) return error;
  const code = codeOf(error);
  const options = { cause: error };
  if (code === 'SQLITE_FULL') {
    const text = `no space left for ${path}: nothing was written; free space or raise the limit, then retry`;
    return new Fault(store.STORE_FULL, text, options);
  }
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
    return new Fault(
      store.STORE_UNAVAILABLE,
      `${path} is locked by another program: nothing was written`,
      options,
    );
  }
  return new Fault(store.STORE_OUTCOME_UNKNOWN, `writing ${path}: ${messageOf(error)} (${code})`, options);
}

/** What a failed open, check or backup means. */
export function openFaultOf(error: unknown, path: string): Fault {
  if (error instanceof Fault) return error;
  const code = codeOf(error);
  const options = { cause: error };
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') {
    return corruptFault(path, messageOf(error), options);
  }
  if (code === 'SQLITE_FULL' || code === 'ENOSPC') {
    return new Fault(store.STORE_FULL, `no space left for ${path}; free space, then retry`, options);
  }
  if (code.startsWith('SQLITE_BUSY')) {
    return new Fault(store.STORE_IN_USE, `${path} is in use by another program`, options);
  }
  const why = CAUSES[code] ?? messageOf(error);
  return new Fault(store.STORE_OPEN_FAILED, `cannot open ${path}: ${why}`, options);
}

/** @param found what is wrong, in a few words */
export function corruptFault(path: string, found: string, options?: { cause?: unknown }): Fault {
  const advice = 'keep the file, restore a backup, or move it away to start empty';
  return new Fault(store.STORE_CORRUPT, `${path} is damaged (${found}); ${advice}`, options);
}

const CAUSES: Readonly<Record<string, string>> = {
  EACCES: 'permission denied; run as its owner or choose another data directory',
  EPERM: 'permission denied; run as its owner or choose another data directory',
  EROFS: 'the file system is read-only; choose a writable data directory',
  EEXIST: 'a part of the path is not a directory',
  ENOTDIR: 'a part of the path is not a directory',
  EISDIR: 'it is a directory; name a file in it',
  ENOENT: 'no such file or directory',
  SQLITE_READONLY: 'it is read-only; choose a writable data directory',
  SQLITE_READONLY_DIRECTORY: 'its directory is read-only; choose a writable data directory',
  SQLITE_CANTOPEN: 'it or its directory cannot be read or written',
};

function codeOf(error: unknown): string {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' ? code : 'unknown';
}
