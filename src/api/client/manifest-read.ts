import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../base/fault.ts';
import { MAX_MANIFEST_BYTES } from './limits.ts';
import { type ManifestError, type ManifestObject, type Manifests, parseManifests } from './manifest-parse.ts';

const ENDINGS = ['.yaml', '.yml', '.json'];

export interface ReadDeps {
  /** Read once, when a path is `-`. */
  readonly stdin?: AsyncIterable<Uint8Array>;
  /** In place of parseManifests. */
  readonly parse?: typeof parseManifests;
}

/**
 * Reads manifests from files, folders (their .yaml, .yml and .json files in name order, no subfolders) and `-`.
 * What cannot be read or parsed is an error entry; the rest is returned all the same.
 */
export async function readManifests(paths: readonly string[], deps: ReadDeps = {}): Promise<Manifests> {
  const objects: ManifestObject[] = [];
  const errors: ManifestError[] = [];
  const add = (found: Manifests): void => {
    objects.push(...found.objects);
    errors.push(...found.errors);
  };
  for (const path of paths) {
    if (path === '-') add(await readStream(deps.stdin));
    else {
      const { files, errors: faults } = await manifestFiles(path);
      errors.push(...faults);
      for (const file of files) add(await readManifestFile(file, deps.parse));
    }
  }
  return { objects, errors };
}

/** The files a path stands for: itself, or a folder's manifests. */
export async function manifestFiles(path: string): Promise<{ files: string[]; errors: ManifestError[] }> {
  try {
    if (!(await stat(path)).isDirectory()) return { files: [path], errors: [] };
    const names = (await readdir(path)).filter((name) => ENDINGS.some((ending) => name.endsWith(ending)));
    // Hidden names are editors' and mounts' own (`..data` of a mounted ConfigMap).
    const files = names.filter((name) => !name.startsWith('.')).sort();
    return { files: files.map((name) => join(path, name)), errors: [] };
  } catch (error) {
    return { files: [], errors: [unreadable(path, error)] };
  }
}

export async function readManifestFile(file: string, parse = parseManifests): Promise<Manifests> {
  try {
    const { size } = await stat(file);
    if (size > MAX_MANIFEST_BYTES) return { objects: [], errors: [tooLarge(file)] };
    return parse(await readFile(file, 'utf8'), file);
  } catch (error) {
    return { objects: [], errors: [unreadable(file, error)] };
  }
}

async function readStream(stdin: AsyncIterable<Uint8Array> | undefined): Promise<Manifests> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of stdin ?? []) {
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_MANIFEST_BYTES) return { objects: [], errors: [tooLarge('-')] };
    chunks.push(chunk);
  }
  return parseManifests(Buffer.concat(chunks).toString(), '-');
}

function tooLarge(file: string): ManifestError {
  return { file, line: 1, field: '', message: `is larger than ${MAX_MANIFEST_BYTES} bytes` };
}

function unreadable(file: string, error: unknown): ManifestError {
  return { file, line: 1, field: '', message: `cannot be read: ${messageOf(error)}` };
}
