import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PACKAGE = 'kubernetes-client';

/** kubectl 1.20 as Debian ships it: installed, or out of its package without installing it. */
export function oldKubectl(): string | undefined {
  const installed = [
    '/usr/bin/kubectl',
    '/usr/local/bin/kubectl',
    ...(process.env['KUBECTL_1_20'] ?? '').split(':'),
  ];
  return installed.find(isOld) ?? unpacked();
}

function isOld(path: string): boolean {
  if (path === '') return false;
  try {
    const text = execFileSync(path, ['version', '--client'], { encoding: 'utf8', stdio: 'pipe' });
    return /GitVersion:"v1\.20\./.test(text);
  } catch {
    return false;
  }
}

/** Unpacked once a machine; another kubectl may well be the installed one. */
function unpacked(): string | undefined {
  const folder = join(tmpdir(), 'weft-kubectl-v20');
  const program = join(folder, 'usr/bin/kubectl');
  if (isOld(program)) return program;
  try {
    mkdirSync(folder, { recursive: true });
    execFileSync('apt-get', ['-qq', 'download', PACKAGE], { cwd: folder, stdio: 'pipe' });
    const found = readdirSync(folder).find((name) => name.startsWith(PACKAGE) && name.endsWith('.deb'));
    execFileSync('dpkg-deb', ['-x', found ?? '', '.'], { cwd: folder, stdio: 'pipe' });
  } catch {
    return undefined;
  }
  return isOld(program) ? program : undefined;
}
