import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SystemdNotifier } from '../../src/node/host/systemd-notifier.ts';
import { silentLogger } from '../../src/base/log.ts';
import { hostLacks } from '../support/host-lacks.ts';
import type { OwnNetwork } from '../support/own-network.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { waitFor } from '../support/wait-for.ts';
import { WeftProcess } from '../support/weft-process.ts';
import { TestCluster } from './cluster.ts';

/** What systemd would be told, on a socket of our own. */
async function listen(host: OwnNetwork, path: string): Promise<{ readonly text: string }> {
  const heard = { text: '' };
  const socat = host.start('socat', ['-u', `UNIX-RECV:${path}`, '-']);
  socat.stdout?.on('data', (chunk: Buffer) => (heard.text += `${chunk.toString()}\n`));
  await waitFor('the socket', () => host.run('test', ['-S', path]).status === 0);
  return heard;
}

test('systemd is told of readiness, the watchdog, a reload and the end', async (context) => {
  const reason = hostLacks('ip', 'socat');
  if (reason !== undefined) context.skip(reason);
  await using cluster = await TestCluster.open('nd-systemd');
  const alpha = cluster.host('alpha', 11);
  const path = join(cluster.folder, 'notify');
  const heard = await listen(alpha, path);
  const flags = ['--kubeconfig', cluster.kubeconfig, '--proxy-mode', 'userspace'];
  const env = { ...process.env, NOTIFY_SOCKET: path, WATCHDOG_USEC: '200000' };
  await using node = new WeftProcess(alpha, ['node', ...flags], env);
  await waitFor('READY', () => heard.text.includes('READY=1\n'), 60_000);
  expect(heard.text).toMatch(/STATUS=node \S+, proxy mode userspace/);
  await waitFor('the watchdog', () => heard.text.split('WATCHDOG=1').length > 3);
  const readies = (): number => heard.text.split('READY=1').length;
  const before = readies();
  node.child.kill('SIGHUP');
  await waitFor('the reload', () => /RELOADING=1\nMONOTONIC_USEC=\d+\n/.test(heard.text));
  await waitFor('READY again', () => readies() > before);
  expect(await node.stop()).toBe(0);
  await waitFor('STOPPING', () => heard.text.includes('STOPPING=1'));
  rmSync(path, { force: true });
}, 300_000);

test('without systemd nothing is sent; a socket that is not there is told once', async () => {
  const warnings: string[] = [];
  const log = { ...silentLogger, warn: (event: string) => void warnings.push(event) };
  const clock = new FakeClock();
  const quiet = new SystemdNotifier({ clock, log, env: {}, pid: 1 });
  quiet.ready('up');
  quiet.watch(() => true);
  const env = { NOTIFY_SOCKET: '/nowhere/notify', WATCHDOG_USEC: '1000000', WATCHDOG_PID: '1' };
  using lost = new SystemdNotifier({ clock, log, env, pid: 1 });
  lost.ready('up');
  lost.watch(() => true);
  await clock.advance(2_000);
  expect(warnings).toEqual(['service manager not told']);
});

test('the watchdog of another process, or an ill daemon, is not fed', async () => {
  const warnings: string[] = [];
  const log = { ...silentLogger, warn: (event: string) => void warnings.push(event) };
  const clock = new FakeClock();
  const env = { NOTIFY_SOCKET: '/nowhere/notify', WATCHDOG_USEC: '1000000' };
  using other = new SystemdNotifier({ clock, log, env: { ...env, WATCHDOG_PID: '7' }, pid: 1 });
  other.watch(() => true);
  using ill = new SystemdNotifier({ clock, log, env, pid: 1 });
  ill.watch(() => false);
  await clock.advance(2_000);
  expect(warnings).toEqual([]);
});
