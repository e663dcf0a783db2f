import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readConfigFile } from '../../src/cli/up/config-file.ts';
import { listenOption, repeated } from '../../src/cli/flags.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'weft-config-'))));
afterEach(() => rmSync(folder, { recursive: true }));

async function optionsFrom(text: string, ...typed: string[]): Promise<Record<string, unknown>> {
  const file = join(folder, 'up.yaml');
  writeFileSync(file, text);
  const command = new Command('up')
    .option('--config <file>')
    .addOption(listenOption('--api-listen <address:port>', '', '127.0.0.1', 6443))
    .option('--apply <path>', '', repeated)
    .option('--wait-seconds <n>', '', '120')
    .option('--strict');
  await command.parseAsync(['--config', file, ...typed], { from: 'user' });
  await readConfigFile(command);
  const { config: _config, ...rest } = command.opts();
  return rest;
}

describe('a file of options', () => {
  it('is read by long names, lists and booleans too', async () => {
    const text = 'api-listen: "127.0.0.1:7443"\napply: [a, b]\nwait-seconds: 007\nstrict: true\n';
    expect(await optionsFrom(text)).toEqual({
      apiListen: { host: '127.0.0.1', port: 7443 },
      apply: ['a', 'b'],
      waitSeconds: '007',
      strict: true,
    });
  });

  it('loses against what is typed, and says nothing when empty', async () => {
    const typed = await optionsFrom('wait-seconds: 1\napply: a', '--wait-seconds', '2');
    expect(typed).toMatchObject({ waitSeconds: '2', apply: ['a'] });
    expect(await optionsFrom('')).toMatchObject({ waitSeconds: '120' });
  });

  it.each([
    [
      'an unknown name',
      'a: 1\nnope: 2',
      /up\.yaml:1: a is no option of up\n.*up\.yaml:2: nope is no option of up/,
    ],
    ['itself', 'config: x', /config is no option/],
    ['a bad value', '\napi-listen: nonsense', /up\.yaml:2: api-listen: Use ADDRESS:PORT/],
    ['a map as value', 'apply: {a: b}', /apply: must be a value or a list of values/],
    ['no boolean', 'strict: maybe', /strict: must be true or false/],
    ['no map', '- a', /must be a map of options/],
    ['no YAML', 'a: [', /up\.yaml:1: /],
  ])('refuses %s', async (_name, text, message) => {
    await expect(optionsFrom(text)).rejects.toThrow(message);
  });

  it('names a file that is not there', async () => {
    const command = new Command('up').option('--config <file>');
    await command.parseAsync(['--config', '/does/not/exist'], { from: 'user' });
    await expect(readConfigFile(command)).rejects.toMatchObject({ exitCode: 64 });
  });
});
