import { closeSync, mkdirSync, openSync, statSync, type Stats } from 'node:fs';
import { Fault } from '../../base/fault.ts';

interface HostPath {
  readonly path: string;
  readonly type?: string;
}

const CHECKS: Readonly<Record<string, (stats: Stats) => boolean>> = {
  Directory: (stats) => stats.isDirectory(),
  DirectoryOrCreate: (stats) => stats.isDirectory(),
  File: (stats) => stats.isFile(),
  FileOrCreate: (stats) => stats.isFile(),
  Socket: (stats) => stats.isSocket(),
  CharDevice: (stats) => stats.isCharacterDevice(),
  BlockDevice: (stats) => stats.isBlockDevice(),
};

/** The path itself, made when its type says so. Throws Fault VOLUME when it is not what the type wants. */
export function hostPathFolder(source: HostPath): string {
  const type = source.type ?? '';
  if (type === 'DirectoryOrCreate') mkdirSync(source.path, { recursive: true, mode: 0o755 });
  if (type === 'FileOrCreate') closeSync(openSync(source.path, 'a', 0o644));
  const check = Object.hasOwn(CHECKS, type) ? CHECKS[type] : undefined;
  if (!check) return source.path;
  const stats = statOf(source.path);
  if (!stats || !check(stats)) {
    throw new Fault(
      'VOLUME',
      `hostPath type check failed: ${source.path} is not a ${type.replace('OrCreate', '').toLowerCase()}`,
    );
  }
  return source.path;
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}
