import { appendFileSync, mkdtempSync, readdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createApiClient } from '../../src/api/client/api-client.ts';
import { openInformer } from '../../src/api/client/open-informer.ts';
import { resources } from '../../src/api/client/resources.ts';
import { silentLogger } from '../../src/base/log.ts';
import { LastState } from '../../src/node/last-state.ts';
import { FakeApi } from '../api/client/fake-api.ts';
import { FakeClock, settle } from '../support/fake-clock.ts';
import { hostLacks } from '../support/host-lacks.ts';
import { waitFor } from '../support/wait-for.ts';
import { WeftProcess } from '../support/weft-process.ts';
import { get, startWeb, TestCluster, untilGot, web } from './cluster.ts';

const DEADLINE_MS = 600_000;
/** Informers wait up to 45 s between two attempts. */
const NEWS_MS = 120_000;
const SERVER = 'https://192.0.2.10:6443/';

/** An informer of ConfigMaps with a memory in the folder. */
async function stage(folder: string, api: FakeApi, server = SERVER) {
  const clock = new FakeClock();
  const deps = { clock, log: silentLogger };
  const memory = await LastState.open(deps, { folder, server, resources: [resources.configMaps] });
  const client = createApiClient(api.exchange, { clock });
  const informer = openInformer(client, resources.configMaps, {}, { ...deps, random: () => 0.5, memory });
  memory.remember(informer);
  return {
    clock,
    informer,
    names: () => Array.from(informer.list(), ({ metadata }) => metadata.name).toSorted(),
    async [Symbol.asyncDispose]() {
      await informer[Symbol.asyncDispose]();
      await memory[Symbol.asyncDispose]();
    },
  };
}

test('what was known comes back while the API is away, and is compared with its first list', async () => {
  const folder = join(mkdtempSync(join(tmpdir(), 'weft-last-')), 'state');
  const api = new FakeApi();
  api.set('kept', '1');
  api.set('gone', '1');
  {
    await using first = await stage(folder, api);
    await first.informer.synced();
  }
  expect(readdirSync(folder)).toEqual(['configmaps.ndjson']);
  expect(statSync(join(folder, 'configmaps.ndjson')).mode & 0o777).toBe(0o600);

  const away = new FakeApi();
  away.set('kept', '1');
  away.set('new', '1');
  away.set('kept', '2');
  away.failNext(2);
  await using second = await stage(folder, away);
  const events: string[] = [];
  second.informer.subscribe(({ type, object }) => events.push(`${type} ${object.metadata.name}`));
  await second.informer.synced();
  expect(second.names()).toEqual(['gone', 'kept']);
  expect(second.informer.resourceVersion).toBe('');
  await second.clock.advance(60_000);
  await settle();
  expect(second.names()).toEqual(['kept', 'new']);
  const wanted = ['added gone', 'added kept', 'added new', 'deleted gone', 'updated kept'];
  expect(events.toSorted()).toEqual(wanted);
});

test('a damaged file and one of another server are not used', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-last-'));
  const api = new FakeApi();
  api.set('a', '1');
  {
    await using first = await stage(folder, api);
    await first.informer.synced();
  }
  const synced = async (server: string): Promise<boolean> => {
    const away = new FakeApi();
    away.failNext(1_000);
    await using again = await stage(folder, away, server);
    await settle();
    return again.informer.hasSynced;
  };
  expect(await synced(SERVER)).toBe(true);
  expect(await synced('https://192.0.2.99:6443/')).toBe(false);
  appendFileSync(join(folder, 'configmaps.ndjson'), '{"cut');
  expect(await synced(SERVER)).toBe(false);
});

test(
  'a daemon that starts while the API is away serves VIPs, names and Ingresses as they were',
  async (context) => {
    const reason = hostLacks('ip', 'curl', 'nft', 'dig');
    if (reason !== undefined) context.skip(reason);
    await using cluster = await TestCluster.open('nd-last');
    const alpha = cluster.host('alpha', 11);
    startWeb(alpha, '192.0.2.11', 'alpha');
    const dns = ['--dns-address', '169.254.20.10'];
    const http = ['--ingress-http', '192.0.2.11:80', '--watch-ingress-without-class'];
    const flags = [
      '--hostname-override',
      'alpha',
      '--register',
      '--data-dir',
      join(cluster.folder, 'alpha'),
      '--proxy-mode',
      'nftables',
      ...dns,
      ...http,
    ];
    const start = (): WeftProcess =>
      new WeftProcess(alpha, ['node', '--kubeconfig', cluster.kubeconfig, ...flags]);
    const lookUp = (name: string): string =>
      alpha.run('dig', ['@169.254.20.10', '+short', `${name}.default.svc.cluster.local`]).stdout.trim();
    const rules = (): string => alpha.run('nft', ['-s', 'list', 'table', 'ip', 'weft']).stdout;
    await using first = start();
    await first.ready();
    cluster.apply(...web('web', '10.96.7.7', ['192.0.2.11']), ingress('web'));
    await untilGot(alpha, 'http://192.0.2.11/', 'alpha');
    await untilGot(alpha, 'http://10.96.7.7/', 'alpha');
    await waitFor('the name', () => lookUp('web') === '10.96.7.7');
    await first.stop();
    const written = rules();
    await cluster.killServer();

    await using second = start();
    await second.ready();
    expect(rules()).toBe(written);
    expect(get(alpha, 'http://10.96.7.7/')).toBe('alpha');
    expect(lookUp('web')).toBe('10.96.7.7');
    expect(get(alpha, 'http://192.0.2.11/')).toBe('alpha');
    expect(get(alpha, 'http://127.0.0.1:10249/metrics')).toContain(
      'weft_informer_recalled{resource="services"} 1',
    );
    await cluster.restartServer();
    cluster.apply(...web('more', '10.96.7.8', ['192.0.2.11']));
    cluster.weft(['delete', 'service', 'web']);
    await waitFor('the news', () => get(alpha, 'http://10.96.7.8/') === 'alpha', NEWS_MS);
    await waitFor('the old name to go', () => lookUp('web') === '', NEWS_MS);
    await waitFor(
      'everything to be read anew',
      () => !get(alpha, 'http://127.0.0.1:10249/metrics').includes('weft_informer_recalled{'),
      NEWS_MS,
    );
    await waitFor('the node', () => cluster.weft(['get', 'nodes']).includes('alpha'), NEWS_MS);
  },
  DEADLINE_MS,
);

function ingress(service: string): unknown {
  const backend = { service: { name: service, port: { number: 80 } } };
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name: service, namespace: 'default' },
    spec: { defaultBackend: backend },
  };
}
