import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { canMakeNamespaces, OwnNetwork } from '../support/own-network.ts';
import { firstMissing, shownCommands } from '../support/readme.ts';
import { ROOT } from '../support/source-files.ts';
import { waitFor } from '../support/wait-for.ts';

/** `npm ci` ran before any test could; `npm start` and `npm test` are not run again inside themselves. */
const DONE_BEFORE = new Set(['npm ci', 'npm test']);
const START = 'npm start';
const START_DEADLINE_MS = 60_000;

const able = canMakeNamespaces();
const shown = shownCommands(readFileSync(`${ROOT}README.md`, 'utf8'));
let host: OwnNetwork;
let folder: string;
let printed = '';
let started: ChildProcess;

beforeAll(async () => {
  if (!able) return;
  folder = mkdtempSync(join(tmpdir(), 'weft-readme-'));
  host = new OwnNetwork('readme');
  started = host.start('sh', ['-c', `cd ${ROOT} && exec npm start`], env());
  started.stdout?.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  started.stderr?.resume();
  await waitFor('ready', () => /^ready$/m.test(printed), START_DEADLINE_MS);
}, START_DEADLINE_MS + 5000);
afterAll(() => {
  if (!able) return;
  host[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** A newcomer's: nothing set but HOME. */
function env(): NodeJS.ProcessEnv {
  const { XDG_STATE_HOME: _state, KUBECONFIG: _kubeconfig, ...rest } = process.env;
  return { ...rest, HOME: folder };
}

describe.runIf(able)('README', () => {
  it('shows commands', () => expect(shown.map(({ command }) => command)).toContain(START));

  it.each(shown.filter(({ command }) => !DONE_BEFORE.has(command)))(
    '$command',
    ({ command, output, line }) => {
      const actual =
        command === START
          ? printed.slice(printed.indexOf('store '))
          : host.run('sh', ['-c', `cd ${ROOT} && ${command}`], { env: env() }).stdout;
      expect({ line, missing: firstMissing(output, actual), actual }).toMatchObject({ missing: undefined });
    },
  );

  it('whoever stops npm start stops weft', async () => {
    const listeners = (): string => host.run('ss', ['-Hlnt']).stdout;
    expect(listeners()).not.toBe('');
    started.kill('SIGTERM');
    await waitFor('weft to end', () => listeners() === '');
  });
});

if (!able) it('README', (ctx) => ctx.skip('needs root to make network namespaces'));
