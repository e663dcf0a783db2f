import { accessSync, constants, statSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';

/**
 * Finds a program as execvp(3) does: with a slash relative to the working folder, else along PATH.
 * Undefined when there is no such file that may be run.
 */
export function findExecutable(program: string, path: string, cwd: string): string | undefined {
  if (program === '') return undefined;
  if (program.includes('/')) {
    const full = isAbsolute(program) ? program : resolve(cwd, program);
    return mayRun(full) ? full : undefined;
  }
  for (const folder of path.split(':')) {
    const full = join(resolve(cwd, folder || '.'), program);
    if (mayRun(full)) return full;
  }
  return undefined;
}

function mayRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
