import { expect, it } from 'vitest';
import { textOf } from './support/source-files.ts';

/** What we may ship with or build with: permissive licences, and MPL-2.0 unmodified. */
const ALLOWED =
  /^\(?(MIT|MIT-0|ISC|BSD-[23]-Clause|0BSD|Apache-2\.0|MPL-2\.0|BlueOak-1\.0\.0|CC0-1\.0|CC-BY-4\.0|Unlicense|Python-2\.0|PSF-2\.0|Node\.js)\b/;

interface LockedPackage {
  readonly version?: string;
  readonly license?: string;
  readonly link?: boolean;
}

it('every dependency has a licence we may ship', () => {
  const lock = JSON.parse(textOf('package-lock.json')) as { packages: Record<string, LockedPackage> };
  const packages = Object.entries(lock.packages).filter(([path, entry]) => path !== '' && !entry.link);
  const refused = packages
    .filter(([, entry]) => !ALLOWED.test(entry.license ?? ''))
    .map(([path, entry]) => `${path}: ${entry.license}`);
  expect(refused).toEqual([]);
  expect(packages.length).toBeGreaterThan(20);
});
