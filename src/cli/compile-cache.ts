import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

/** Commands that live long and small: the pages of cached code would stay in their memory. */
const WITHOUT: readonly (string | undefined)[] = ['up', 'server'];

/**
 * Keeps V8's compiled code of what is loaded from now on, for the next start: in systemd's CacheDirectory, else the
 * user's own cache folder (XDG base directories). Never in a folder that others may write to: it is code. A folder
 * that cannot be written changes nothing.
 */
export function keepCompiledCode(command: string | undefined, env: NodeJS.ProcessEnv): void {
  if (WITHOUT.includes(command)) return;
  const { CACHE_DIRECTORY, XDG_CACHE_HOME, HOME } = env;
  const folder = CACHE_DIRECTORY || XDG_CACHE_HOME || (HOME && join(HOME, '.cache'));
  if (folder) enableCompileCache(join(folder, 'weft', 'code'));
}
