import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { ROOT } from '../support/source-files.ts';

const BUILD_DEADLINE_MS = 400_000;

function run(command: string, args: readonly string[]): { status: number | null; text: string } {
  const options = { cwd: ROOT, encoding: 'utf8', timeout: BUILD_DEADLINE_MS, maxBuffer: 2 ** 28 } as const;
  const { status, stdout, stderr, error } = spawnSync(command, args, options);
  return { status: error ? null : status, text: `${stdout}${stderr}` };
}

/** What is told only because the package is not installed here. */
const NOT_INSTALLED = /Command \/usr\/bin\/weft is not executable/;

test.for(readdirSync(join(ROOT, 'deploy/systemd')))('systemd takes %s', (unit, context) => {
  const { status, text } = run('systemd-analyze', ['verify', join('deploy/systemd', unit)]);
  if (status === null) context.skip('missing: systemd-analyze');
  const faults = text.split('\n').filter((line) => line !== '' && !NOT_INSTALLED.test(line));
  expect(faults).toEqual([]);
});

interface Container {
  readonly command: readonly string[];
  readonly readinessProbe: { readonly httpGet: { readonly path: string; readonly port: number } };
}

describe('the DaemonSet', () => {
  const documents = parseAllDocuments(readFileSync(join(ROOT, 'deploy/kubernetes/weft-node.yaml'), 'utf8'));
  const objects = documents.map((document) => document.toJS() as Record<string, unknown>);
  const byKind = (kind: string) => objects.find((object) => object['kind'] === kind);

  test('starts weft with flags it has', () => {
    const spec = byKind('DaemonSet')?.['spec'] as {
      template: { spec: { containers: readonly Container[] } };
    };
    const [{ command, readinessProbe } = { command: [] }] = spec.template.spec.containers as Container[];
    const [program, ...args] = command;
    expect(program).toBe('weft');
    // flags are read before the kubeconfig: what is told is that alone
    const { status, text } = run(join(ROOT, 'bin/weft'), [...args, '--kubeconfig=/nowhere/kubeconfig']);
    expect(text).toContain('/nowhere/kubeconfig');
    expect(status).toBe(64);
    expect(readinessProbe?.httpGet).toEqual({ path: '/readyz', port: 10_256 });
  });

  test('may read what the daemon follows', () => {
    const rules = byKind('ClusterRole')?.['rules'] as readonly {
      apiGroups: string[];
      resources: string[];
      verbs: string[];
    }[];
    const readable = rules
      .filter(({ verbs }) => verbs.includes('watch'))
      .flatMap(({ resources }) => resources);
    expect(readable).toEqual(
      expect.arrayContaining(['services', 'endpointslices', 'nodes', 'namespaces', 'servicecidrs']),
    );
  });
});

test(
  'the Debian package holds program, units and settings, and runs',
  (context) => {
    if (run('dpkg-deb', ['--version']).status !== 0) context.skip('missing: dpkg-deb');
    const folder = mkdtempSync(join(tmpdir(), 'weft-deb-'));
    try {
      const built = run(join(ROOT, 'deploy/debian/build'), [folder]);
      expect(built.status, built.text).toBe(0);
      const file = join(folder, readdirSync(folder)[0] ?? '');
      const listed = run('dpkg-deb', ['--contents', file]).text;
      for (const path of [
        './usr/bin/weft -> ../lib/weft/bin/weft',
        './usr/lib/weft/dist/src/cli/main.js',
        './usr/lib/systemd/system/weft-node.service',
        './etc/weft/node.env',
      ])
        expect(listed).toContain(path);
      expect(listed).not.toMatch(/node_modules\/(vitest|typescript|oxlint)\//);
      expect(run('dpkg-deb', ['--field', file, 'Package', 'Depends']).text).toMatch(
        /Package: weft\nDepends: .*iproute2/,
      );
      const target = join(folder, 'installed');
      expect(run('dpkg-deb', ['--extract', file, target]).status).toBe(0);
      const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
      expect(run(join(target, 'usr/bin/weft'), ['--version']).text.trim()).toContain(version);
      expect(run(join(target, 'usr/bin/weft'), ['node', '--help']).text).toContain('--announce-interface');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  BUILD_DEADLINE_MS,
);
