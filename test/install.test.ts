import { existsSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ROOT, textOf } from './support/source-files.ts';

interface LockedPackage {
  readonly gypfile?: boolean;
}
interface InstalledPackage {
  readonly gypfile?: boolean;
  readonly scripts?: Readonly<Record<string, string>>;
}

const locked = Object.entries(
  (JSON.parse(textOf('package-lock.json')) as { packages: Record<string, LockedPackage> }).packages,
).filter(([path]) => path !== '' && existsSync(`${ROOT}${path}/package.json`));

/**
 * npm ci runs `node-gyp rebuild` for every package with a binding.gyp and no install script of its own. It reads the
 * package's own `"gypfile": false` from the lock file alone, where `npm install` does not write it: without that line
 * a host needs Python, make and the headers of Node for binaries that lie in the package already.
 */
it('npm ci compiles nothing: every prebuilt package says so in the lock file', () => {
  const wouldCompile = locked.filter(([path, entry]) => {
    if (!existsSync(`${ROOT}${path}/binding.gyp`)) return false;
    const { scripts = {} } = JSON.parse(textOf(`${path}/package.json`)) as InstalledPackage;
    return !scripts['install'] && !scripts['preinstall'] && entry.gypfile !== false;
  });
  expect(
    wouldCompile.map(([path]) => `${path}: add "gypfile": false to its entry in package-lock.json`),
  ).toEqual([]);
  expect(locked.length).toBeGreaterThan(100);
});
