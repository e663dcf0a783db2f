import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../support/source-files.ts';

const INSTALL_DEADLINE_MS = 240_000;
let folder: string;

function run(command: string, args: readonly string[], cwd = folder): string {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: INSTALL_DEADLINE_MS });
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${result.stdout}${result.stderr}`);
  return result.stdout.trim();
}

/** As a user gets it: packed, installed elsewhere, started by its name. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-pack-'));
  // The build stands already (npm ci made it); building again would pull it from under other tests.
  const packed = run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', folder], ROOT);
  writeFileSync(join(folder, 'package.json'), '{"name":"user","private":true,"type":"module"}');
  run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', join(folder, packed)]);
}, INSTALL_DEADLINE_MS);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the package', () => {
  it('starts under its name', () => {
    expect(run('node_modules/.bin/weft', ['--version'])).toMatch(/^(weft )?\d+\.\d+\.\d+/);
    expect(run('node_modules/.bin/weft', ['up', '--help'])).toContain('--apply');
  });

  it('holds no TypeScript but declarations, and no tests', () => {
    const files = readdirSync(join(folder, 'node_modules/weft'), { recursive: true, encoding: 'utf8' });
    expect(files.filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))).toEqual([]);
    expect(files.filter((file) => /^(test|bench|node_modules)\//.test(file))).toEqual([]);
    expect(files).toContain('dist/src/cli/main.js');
    expect(files).toContain('LICENSE');
  });
});
