import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** One file of a projected volume. */
export interface PayloadFile {
  readonly bytes: Buffer;
  /** Permission bits, for example 0o644. */
  readonly mode: number;
}

/** Files by relative path. */
export type Payload = ReadonlyMap<string, PayloadFile>;

const DATA_LINK = '..data';

/**
 * Shows the payload in the folder as the original does: files lie in a folder of their own version, `..data`
 * links to it and each name links through `..data`, so that one rename changes all files at once and a reader
 * never sees a mix. Returns false when nothing changed.
 */
export function writeAtomically(
  folder: string,
  payload: Payload,
  owner: { readonly uid: number; readonly gid: number } | undefined,
): boolean {
  mkdirSync(folder, { recursive: true });
  const current = join(folder, DATA_LINK);
  if (existsSync(current) && samePayload(current, payload)) return false;
  const previous = linkTarget(current);
  const version = `..${randomBytes(8).toString('hex')}`;
  for (const [path, file] of payload) writeFile(join(folder, version, path), file, owner);
  mkdirSync(join(folder, version), { recursive: true });
  const fresh = join(folder, '..data_new');
  rmSync(fresh, { force: true });
  symlinkSync(version, fresh);
  renameSync(fresh, current);
  linkNames(folder, payload);
  if (previous) rmSync(join(folder, previous), { recursive: true, force: true });
  return true;
}

function writeFile(
  path: string,
  file: PayloadFile,
  owner: { readonly uid: number; readonly gid: number } | undefined,
): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, file.bytes);
  chmodSync(path, file.mode);
  if (owner) chownSync(path, owner.uid, owner.gid);
}

/** A link for each first path element; links of names that are gone are removed. */
function linkNames(folder: string, payload: Payload): void {
  const names = new Set(Array.from(payload.keys(), (path) => path.split('/')[0] ?? ''));
  for (const name of names) {
    if (linkTarget(join(folder, name)) === undefined) symlinkSync(join(DATA_LINK, name), join(folder, name));
  }
  for (const name of readdirSync(folder)) {
    if (!name.startsWith('..') && !names.has(name)) rmSync(join(folder, name), { force: true });
  }
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function samePayload(folder: string, payload: Payload): boolean {
  const present = filesBelow(folder, '');
  if (present.length !== payload.size) return false;
  return Array.from(payload).every(([path, file]) => {
    const full = join(folder, path);
    if (!existsSync(full)) return false;
    return (statSync(full).mode & 0o777) === file.mode && readFileSync(full).equals(file.bytes);
  });
}

function filesBelow(folder: string, prefix: string): string[] {
  return readdirSync(join(folder, prefix), { withFileTypes: true }).flatMap((entry) => {
    const path = join(prefix, entry.name);
    return entry.isDirectory() ? filesBelow(folder, path) : [path];
  });
}
