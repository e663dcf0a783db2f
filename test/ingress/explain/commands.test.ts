import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exec } from '../../../src/net/exec.ts';
import { ROOT } from '../../support/source-files.ts';
import { classYaml, ingressYaml, serviceYaml } from '../support/edge.ts';

/** The commands as a user runs them; they need neither network nor privileges. */
let folder: string;
const weft = (...args: string[]): ReturnType<typeof exec> =>
  exec(`${ROOT}bin/weft`, args, { timeoutMs: 60_000 });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-explain-'));
  writeFileSync(
    join(folder, 'objects.yaml'),
    classYaml +
      serviceYaml('red', [['192.0.2.1', 8001]]) +
      ingressYaml('web', 'web.test', 'red', { annotations: { 'proxy-body-size': '8m' } }) +
      ingressYaml('api', 'web.test', 'gone', {
        path: '/api',
        annotations: { 'server-snippet': 'return 200;', 'canary-typo': '1' },
      }) +
      ingressYaml('late', 'web.test', 'red', { path: '/api' }),
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('weft ingress explain', () => {
  it('tells the steps in order', async () => {
    const { stdout, exitCode } = await weft(
      'ingress',
      'explain',
      'GET',
      'http://web.test/x',
      '--from',
      folder,
    );
    expect(exitCode).toBe(0);
    expect(stdout.replaceAll(/ +/g, ' ').trim().split('\n')).toEqual([
      'host web.test chosen: exact host',
      'rule /api Prefix (default/api) Prefix does not match',
      'rule / Prefix (default/web) chosen: longest Prefix by element',
      'endpoint 192.0.2.1:8001 in: ready',
      'upstream /x sent with Host web.test, round robin',
      'answer default/red:80 one of 1 endpoints answers',
    ]);
  });

  it('answers a batch, good and bad questions', async () => {
    const file = join(folder, 'questions.jsonl');
    writeFileSync(
      file,
      '{"url":"http://web.test/api/1"}\n{"url":"ftp://x"}\nnot json\n{"host":"no.test","path":"/"}\n',
    );
    const { stdout } = await weft('ingress', 'explain', '--from', folder, '--batch', file);
    const answers = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(answers).toMatchObject([
      { backend: null, status: 503, why: 'service does not exist', ingress: 'default/api' },
      { error: '"ftp://x" is no http or https URL' },
      { error: expect.stringContaining('JSON') as string },
      { backend: null, status: 404 },
    ]);
  });

  it('is what weft trace says of a URL', async () => {
    const { stdout } = await weft('trace', '--to', 'https://web.test/', '--from', folder);
    expect(stdout).toContain('certificate default');
    expect(stdout).toContain('one of 1 endpoints answers');
  });

  it.each([
    [['explain'], 'give either METHOD and URL, or --batch'],
    [['explain', 'GET', 'web.test'], 'is no http or https URL'],
    [['explain', 'GET', 'http://x/', '-H', 'nonsense'], "use 'Name: value'"],
  ])('refuses %j', async (args, message) => {
    const { stderr, exitCode } = await weft('ingress', ...args);
    expect(exitCode).toBe(64);
    expect(stderr).toContain(message);
  });
});

describe('weft ingress check', () => {
  it('gives a verdict on every annotation and rule, and exit code 1', async () => {
    const { stdout, stderr, exitCode } = await weft('ingress', 'check', folder, '-o', 'json');
    expect(exitCode).toBe(1);
    expect(stderr).toContain('2 of 3 Ingresses ask for something that is refused');
    expect(JSON.parse(stdout)).toMatchObject([
      {
        name: 'api',
        verdict: 'refused',
        annotations: [
          { annotation: 'canary-typo', verdict: 'refused', detail: 'unknown annotation' },
          { annotation: 'server-snippet', verdict: 'refused' },
        ],
        warnings: ['backend default/gone:80: service does not exist'],
      },
      { name: 'late', problems: ['web.test/api (Prefix) is already served by default/api'] },
      {
        name: 'web',
        verdict: 'honoured',
        annotations: [{ annotation: 'proxy-body-size', verdict: 'honoured' }],
      },
    ]);
  });

  it('gives a verdict on every key of the ConfigMap', async () => {
    const file = join(folder, 'settings.yaml');
    const data = '{ use-gzip: "true", proxy-body-size: 8m, http-snippet: "return 1;", hsts: "maybe" }';
    writeFileSync(
      file,
      `---\napiVersion: v1\nkind: ConfigMap\nmetadata: { namespace: edge, name: settings }\ndata: ${data}\n`,
    );
    const told = await weft('ingress', 'check', file, '--configmap', 'edge/settings');
    expect(told.exitCode).toBe(1);
    expect(told.stdout).toMatch(/^configmap edge\/settings +differs +use-gzip +bodies pass as the backend/m);
    expect(told.stdout).toMatch(
      /^configmap edge\/settings +refused +http-snippet +nginx text is never taken/m,
    );
    expect(told.stdout).toMatch(/^configmap edge\/settings +refused +hsts +must be true or false$/m);
    expect(told.stdout).not.toContain('proxy-body-size');
    const gone = await weft('ingress', 'check', file, '--configmap', 'edge/gone');
    expect([gone.exitCode, gone.stderr]).toEqual([1, expect.stringContaining('ConfigMap edge/gone')]);
    rmSync(file);
  });

  it('is a table for people', async () => {
    const { stdout } = await weft('ingress', 'check', folder);
    expect(stdout).toMatch(/^INGRESS +VERDICT +WHAT +DETAIL$/m);
    expect(stdout).toMatch(/^default\/api +refused +server-snippet +nginx text is never taken/m);
    expect(stdout).toMatch(/^3 Ingresses: 1 honoured, 0 differ, 2 refused, 0 of other controllers$/m);
  });
});
