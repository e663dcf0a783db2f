import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { canMakeNamespaces, OwnNetwork } from '../support/own-network.ts';
import { WeftProcess } from '../support/weft-process.ts';

const COREFILE = `
.:1053 {
  health 127.0.0.1:8080
  ready 127.0.0.1:8181
  prometheus :9153
  whoami
}
example.org:1053 {
  health 127.0.0.1:8080
  prometheus :9153
  whoami
}
`;

it('weft dns prints where it listens, with the pages of its plugins, each once', async (context) => {
  if (!canMakeNamespaces()) return context.skip('network namespaces need root');
  using host = new OwnNetwork('dns-start');
  const folder = mkdtempSync(join(tmpdir(), 'weft-dns-start-'));
  writeFileSync(join(folder, 'Corefile'), COREFILE);
  await using dns = new WeftProcess(host, ['dns', '--conf', join(folder, 'Corefile')]);
  await dns.ready();
  expect(dns.output.split('\n').filter((line) => /^dns |^ready/.test(line))).toEqual([
    'dns udp [::]:1053',
    'dns tcp [::]:1053',
    'dns ready http://127.0.0.1:8181/ready',
    'dns health http://127.0.0.1:8080/health',
    'dns prometheus http://[::]:9153/metrics',
    'ready',
  ]);
  expect(await dns.stop()).toBe(0);
  rmSync(folder, { recursive: true });
}, 200_000);
