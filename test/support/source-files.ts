import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Root of the checkout, with a trailing slash. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Folders that hold the program itself. */
export const PROGRAM = ['src/', 'endpoints/', 'dns/', 'proxy/', 'ingress/'];

/** Paths of all tracked or new files that git does not ignore. */
export function projectFiles(): string[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: ROOT,
  });
  return [...new Set(listed.toString().split('\n'))].filter((path) => path !== '' && existsSync(ROOT + path));
}

export function programFiles(): string[] {
  return projectFiles().filter(
    (path) => path.endsWith('.ts') && PROGRAM.some((room) => path.startsWith(room)),
  );
}

export function textOf(path: string): string {
  return readFileSync(ROOT + path, 'utf8');
}
