import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { canMakeNamespaces, OwnNetwork } from '../support/own-network.ts';
import { ROOT } from '../support/source-files.ts';
import { WeftProcess } from '../support/weft-process.ts';

const able = canMakeNamespaces();

test.runIf(able).each([
  ['0.0.0.0:6443', /server: https:\/\/127\.0\.0\.1:6443$/m],
  ['[::]:6443', /server: https:\/\/\[::1\]:6443$/m],
  // the port it was given, not the 0 that asked for any
  ['0.0.0.0:0', /server: https:\/\/127\.0\.0\.1:[1-9]\d+$/m],
  ['[::]:0', /server: https:\/\/\[::1\]:[1-9]\d+$/m],
])(
  'a host without a network is told an address of itself: %s',
  async (listen, server) => {
    using host = new OwnNetwork('alone');
    const folder = mkdtempSync(join(tmpdir(), 'weft-alone-'));
    const kubeconfig = join(folder, 'kubeconfig');
    await using weft = new WeftProcess(host, ['server', '--data-dir', folder, '--api-listen', listen]);
    await weft.ready();
    expect(readFileSync(kubeconfig, 'utf8')).toMatch(server);
    const got = host.run(`${ROOT}bin/weft`, ['get', 'namespaces', '--kubeconfig', kubeconfig]);
    expect(got).toMatchObject({ status: 0, stdout: expect.stringMatching(/^default /m) });
    const { port } = new URL(/server: (.*)/.exec(readFileSync(kubeconfig, 'utf8'))?.[1] ?? '');
    const slices = ['get', 'endpointslices', '-n', 'default', '-o', 'yaml', '--kubeconfig', kubeconfig];
    expect(host.run(`${ROOT}bin/weft`, slices).stdout).toContain(`port: ${port}`);
    expect(await weft.stop()).toBe(0);
    rmSync(folder, { recursive: true });
  },
  200_000,
);

if (!able) test('a host without a network', (context) => context.skip('network namespaces need root'));
