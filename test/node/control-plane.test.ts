import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { canMakeNamespaces, OwnNetwork } from '../support/own-network.ts';
import { ROOT } from '../support/source-files.ts';
import { WeftProcess } from '../support/weft-process.ts';

const able = canMakeNamespaces();

test.runIf(able).each([
  ['0.0.0.0:6443', 'https://127.0.0.1:6443'],
  ['[::]:6443', 'https://[::1]:6443'],
])(
  'a host without a network is told an address of itself: %s',
  async (listen, server) => {
    using host = new OwnNetwork('alone');
    const folder = mkdtempSync(join(tmpdir(), 'weft-alone-'));
    const kubeconfig = join(folder, 'kubeconfig');
    await using weft = new WeftProcess(host, ['server', '--data-dir', folder, '--api-listen', listen]);
    await weft.ready();
    expect(readFileSync(kubeconfig, 'utf8')).toContain(server);
    const got = host.run(`${ROOT}bin/weft`, ['get', 'namespaces', '--kubeconfig', kubeconfig], {
      timeoutMs: 60_000,
    });
    expect(got).toMatchObject({ status: 0, stdout: expect.stringMatching(/^default /m) });
    expect(await weft.stop()).toBe(0);
    rmSync(folder, { recursive: true });
  },
  200_000,
);

if (!able) test('a host without a network', (context) => context.skip('network namespaces need root'));
