import { existsSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { Fault, hasCode } from '../../base/fault.ts';
import { FileLock } from '../../store/sqlite/file-lock.ts';
import { STORE_IN_USE } from '../../store/store.ts';

/** How many `--data-dir memory:` of one user run beside each other. */
const SCRATCH_FOLDERS_MAX = 64;

export interface Scratch extends Disposable {
  readonly path: string;
}

/**
 * A folder for what a run without a data folder must keep in files: pods and the kubeconfig. It is removed at the
 * end. After a crash the next run takes the same one, and so finds the pods that were left and ends them.
 */
export function openScratch(): Scratch {
  const { uid } = userInfo();
  for (let slot = 0; slot < SCRATCH_FOLDERS_MAX; slot++) {
    const path = join(tmpdir(), `weft-${uid}-${slot}`);
    if (!isOurs(path, uid)) continue;
    try {
      const lock = new FileLock(join(path, 'scratch'));
      return { path, [Symbol.dispose]: () => release(path, lock) };
    } catch (error) {
      if (!hasCode(error, STORE_IN_USE)) throw error;
    }
  }
  throw new Fault('DATA_DIR', `no free folder ${tmpdir()}/weft-${uid}-N. Choose one with --data-dir.`);
}

/** Anyone may write to the temporary folder: what another user put there under this name is left alone. */
function isOurs(path: string, uid: number): boolean {
  if (!existsSync(path)) mkdirSync(path, { mode: 0o711 });
  const stats = lstatSync(path);
  return stats.isDirectory() && stats.uid === uid && (stats.mode & 0o022) === 0;
}

function release(path: string, lock: FileLock): void {
  rmSync(path, { recursive: true, force: true });
  lock[Symbol.dispose]();
}
