import { spawnSync } from 'node:child_process';
import { mkdtempDisposableSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { LostFiles } from './support/lost-files.ts';
import { ROOT } from './support/source-files.ts';

test('a file whose process dies is named, and what it died of', () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), 'weft-lost-'));
  const lostFile = join(folder.path, 'lost.json');
  const dies = `test('runs', () => {}); test('dies', () => process.kill(process.pid, 'SIGKILL'));`;
  writeFileSync(join(folder.path, 'dies.test.ts'), dies);
  writeFileSync(join(folder.path, 'lives.test.ts'), `test('runs', () => {});`);
  const reporter = `--reporter=${join(ROOT, 'test/support/lost-files.ts')}`;
  const args = ['run', '--globals', '--pool=forks', '--root', folder.path, reporter];
  const { PATH } = process.env;
  const run = spawnSync(join(ROOT, 'node_modules/.bin/vitest'), args, {
    encoding: 'utf8',
    env: { PATH, WEFT_LOST_FILES: lostFile },
  });
  expect(run.status, run.stderr).toBe(1);
  const lost = JSON.parse(readFileSync(lostFile, 'utf8')) as LostFiles;
  expect(lost.files).toEqual(['dies.test.ts']);
  expect(lost.errors).toHaveLength(1);
  expect(lost.errors[0]).toContain('signal SIGKILL');
});
