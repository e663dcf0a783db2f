import { existsSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { canMakeNamespaces, OwnNetwork } from '../support/own-network.ts';
import { ROOT } from '../support/source-files.ts';
import { WeftProcess } from '../support/weft-process.ts';

const SHOP_PODS = 10;
const pods = (host: OwnNetwork): string[] => host.processes().filter((line) => /\.mjs\b/.test(line));
const folderOf = (weft: WeftProcess): string =>
  /^kubeconfig\s+(\S+)\/kubeconfig$/m.exec(weft.output)?.[1] ?? '';

it('weft up --data-dir memory: ends after kill -9 what the last run left, and keeps nothing', async (ctx) => {
  if (!canMakeNamespaces()) return ctx.skip('needs root to make network namespaces');
  using host = new OwnNetwork('memory');
  const up = (...more: string[]): WeftProcess =>
    new WeftProcess(host, ['up', '--data-dir', 'memory:', ...more]);
  const first = up('--apply', `${ROOT}examples/shop`);
  await first.ready();
  expect(pods(host).length).toBeGreaterThanOrEqual(SHOP_PODS);
  await using second = up(
    '--api-listen',
    '127.0.0.1:16443',
    '--dns-listen',
    '127.0.0.1:20053',
    '--ingress-http',
    '127.0.0.1:18080',
    '--ingress-https',
    '127.0.0.1:18443',
    '--pod-cidr',
    '127.245.0.0/16',
    '--service-cidr',
    '127.95.0.0/16',
  );
  await second.ready();
  expect(folderOf(second)).not.toBe(folderOf(first));
  expect(await second.stop()).toBe(0);
  const folder = folderOf(first);
  expect(folder).toContain(join(tmpdir(), `weft-${userInfo().uid}-`));
  await first.stop('SIGKILL');
  expect(pods(host).length).toBeGreaterThanOrEqual(SHOP_PODS);
  await using third = up();
  await third.ready();
  expect(pods(host)).toEqual([]);
  expect(await third.stop()).toBe(0);
  expect(existsSync(folder)).toBe(false);
});
