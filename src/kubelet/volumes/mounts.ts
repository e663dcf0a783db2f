import { join, posix } from 'node:path';
import type { Container } from '../../api/kinds/pod.ts';

/** Where a path of the container's own view lies on the host. */
export interface MountPath {
  /** The volume's name, or a name of ours. */
  readonly name: string;
  readonly mountPath: string;
  readonly hostPath: string;
}

/**
 * A process of the host sees the host's files, so there is nothing at a mountPath. Instead each place where a
 * manifest names such a path (command, args, environment values, workingDir, probe and hook commands) is
 * given the volume's folder. Longest mountPath first, as nested mounts hide outer ones.
 */
export function mountPaths(
  container: Container,
  volumeFolders: ReadonlyMap<string, string>,
  expandPath: (text: string) => string,
): readonly MountPath[] {
  const out = (container.volumeMounts ?? []).flatMap((mount) => {
    const folder = volumeFolders.get(mount.name);
    if (folder === undefined) return [];
    const subPath = mount.subPathExpr ? expandPath(mount.subPathExpr) : (mount.subPath ?? '');
    const hostPath = join(folder, join('/', subPath)); // a subPath never leaves the volume
    return [{ name: mount.name, mountPath: trimSlash(mount.mountPath), hostPath: trimSlash(hostPath) }];
  });
  return out.sort((one, other) => other.mountPath.length - one.mountPath.length);
}

/** A whole path: the mounted place of it, else itself. */
export function hostPathOf(path: string, mounts: readonly MountPath[]): string {
  const clean = trimSlash(posix.normalize(path));
  for (const { mountPath, hostPath } of mounts) {
    if (clean === mountPath) return hostPath;
    if (clean.startsWith(`${mountPath}/`)) return hostPath + clean.slice(mountPath.length);
  }
  return path;
}

/**
 * Any text that may hold paths, for example `--config=/etc/app/a.yaml` or a shell script. A mountPath counts
 * where a path can begin (at the start or after one of = : , ; @ quotes brackets < > | & and white space) and
 * where its last name ends.
 */
export function rewritePaths(text: string, mounts: readonly MountPath[]): string {
  if (mounts.length === 0 || !text.includes('/')) return text;
  const byPath = new Map(mounts.map((mount) => [mount.mountPath, mount.hostPath]));
  const names = mounts.map((mount) => escapeForRegExp(mount.mountPath)).join('|');
  const pattern = new RegExp(`(^|[\\s=:,;@"'\`(\\[{<>|&])(${names})(?=$|[/\\s:,;"'\`)\\]}<>|&?#])`, 'g');
  return text.replace(pattern, (_whole, before: string, path: string) => before + (byPath.get(path) ?? path));
}

/** WEFT_VOLUME_<NAME> = folder, for programs that would rather ask. */
export function volumeVariables(mounts: readonly MountPath[]): Record<string, string> {
  return Object.fromEntries(
    mounts.map(({ name, hostPath }) => [
      `WEFT_VOLUME_${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`,
      hostPath,
    ]),
  );
}

function trimSlash(path: string): string {
  return path.length > 1 ? path.replace(/\/+$/, '') : path;
}

function escapeForRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
