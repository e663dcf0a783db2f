import { Command } from 'commander';
import { expect, test } from 'vitest';
import type { CliContext } from '../../src/cli/context.ts';
import { addKubeProxyFlags, readProxySettings } from '../../src/cli/proxy/flags.ts';
import { createLogger } from '../../src/base/log.ts';

test('a command line of kube-proxy is taken whole; what has no effect here is told', async () => {
  const told: unknown[] = [];
  const log = createLogger(({ fields }) => told.push(fields));
  const command = new Command().allowExcessArguments(false);
  addKubeProxyFlags(command);
  const args = ['--proxy-mode', 'nftables', '--boot-id-file', '/x', '--log-text-split-stream', '-v', '2'];
  command.parse(args, { from: 'user' });
  const { config } = await readProxySettings(command.opts(), { log } as unknown as CliContext);
  expect(config.mode).toBe('nftables');
  expect(told).toContainEqual({ at: '--boot-id-file', message: 'no effect: weft reports no machine' });
  expect(told).toContainEqual({ at: '--log-text-split-stream', message: 'no effect: weft logs to stderr' });
});
