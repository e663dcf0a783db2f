import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { client } from '../../support/kubectl.ts';
import { ROOT } from '../../support/source-files.ts';
import { waitFor } from '../../support/wait-for.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-protected-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function run(program: string, args: readonly string[]): Promise<{ code: number | null; out: string }> {
  const child = spawn(program, [...args], { env: { PATH: process.env['PATH'], HOME: folder } });
  let out = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (out += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out };
}

describe('weft server with upstream’s flags', () => {
  it('writes the audit log and seals Secrets', async () => {
    const at = (name: string): string => join(folder, name);
    await writeFile(
      at('audit.yaml'),
      'apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, verbs: [create]}]\n',
    );
    const secret = Buffer.alloc(32, 5).toString('base64');
    await writeFile(
      at('seal.yaml'),
      `apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: [{resources: [secrets], providers: [{secretbox: {keys: [{name: k, secret: ${secret}}]}}]}]\n`,
    );
    const server = spawn(
      `${ROOT}bin/weft`,
      [
        'server',
        '--data-dir',
        at('data'),
        '--api-listen',
        '127.0.0.1:0',
        '--kubeconfig-out',
        at('admin.conf'),
        '--audit-policy-file',
        at('audit.yaml'),
        '--audit-log-path',
        at('audit.log'),
        '--encryption-provider-config',
        at('seal.yaml'),
      ],
      { env: { PATH: process.env['PATH'], HOME: folder } },
    );
    let output = '';
    for (const stream of [server.stdout, server.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    try {
      await waitFor('the server', () => /^ready$/m.test(output), 60_000);
      const args = [
        '--kubeconfig',
        at('admin.conf'),
        'create',
        'secret',
        'generic',
        's',
        '--from-literal=a=correct-horse',
      ];
      expect((await run(client('kubectl'), args)).out).toBe('secret/s created\n');
    } finally {
      server.kill('SIGTERM');
      await once(server, 'close');
    }
    const stored = Buffer.concat([
      await readFile(at('data/store.db')),
      await readFile(at('data/store.db-wal')).catch(() => Buffer.alloc(0)),
    ]);
    expect(stored.includes('k8s:enc:secretbox:v1:k:')).toBe(true);
    expect(stored.includes(Buffer.from('correct-horse').toString('base64'))).toBe(false);
    const events = (await readFile(at('audit.log'), 'utf8')).split('\n').filter(Boolean);
    expect(events.some((line) => /"verb":"create".*"resource":"secrets"/.test(line))).toBe(true);
  });

  it('says what is wrong with the files before a port opens', async () => {
    const alone = await run(`${ROOT}bin/weft`, [
      'server',
      '--data-dir',
      join(folder, 'x'),
      '--audit-log-path',
      '/x',
    ]);
    expect(alone).toEqual({
      code: 64,
      out: expect.stringContaining('--audit-policy-file and --audit-log-path go together'),
    });
    await writeFile(join(folder, 'bad.yaml'), 'kind: X\n');
    const bad = await run(`${ROOT}bin/weft`, [
      'server',
      '--data-dir',
      join(folder, 'x'),
      '--encryption-provider-config',
      join(folder, 'bad.yaml'),
    ]);
    expect(bad).toEqual({ code: 64, out: expect.stringContaining('kind must be EncryptionConfiguration') });
  });
});
