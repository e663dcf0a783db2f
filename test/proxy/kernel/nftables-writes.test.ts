import { expect, test } from 'vitest';
import { openBackend } from '../../../proxy/backends.ts';
import { silentLogger } from '../../../src/base/log.ts';
import type { Exec } from '../../../src/net/exec.ts';
import { service, slice } from '../../support/kube-objects.ts';
import { CaseWorld, PROXY_CASES } from '../../suites/backend.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const signal = new AbortController().signal;

/** An nft that holds the state of the last transaction, until `flush`. */
function recordingNft() {
  const transactions: string[] = [];
  let state: string | undefined;
  const exec: Exec = (_program, args, { input = '' } = {}) => {
    if (args[0] === '-f') {
      transactions.push(String(input));
      state = /add element ip weft state \{ 1 comment "([^"]+)" \}/.exec(String(input))?.[1] ?? state;
      return Promise.resolve({ exitCode: 0, stdout: '', stderr: '' });
    }
    const listed = { nftables: [{ set: { elem: [{ elem: { val: 1, comment: state } }] } }] };
    const missing = { exitCode: 1, stdout: '', stderr: 'No such file or directory' };
    if (!args.includes('state'))
      return Promise.resolve({ exitCode: 0, stdout: '{"nftables":[]}', stderr: '' });
    return Promise.resolve(
      state === undefined ? missing : { exitCode: 0, stdout: JSON.stringify(listed), stderr: '' },
    );
  };
  const flush = (): void => void (state = undefined);
  return { deps: { clock: new FakeClock(), log: silentLogger, exec }, transactions, flush };
}

function world(services: number): CaseWorld {
  const objects = Array.from({ length: services }, (_, i) => [
    service(`shop/web-${i}`, { clusterIP: `10.43.${i >> 8}.${i & 255}` }),
    slice(`shop/web-${i}-1`, `web-${i}`, { ports: { http: 8080 }, endpoints: [{ ip: '10.42.1.9' }] }),
  ]).flat();
  return new CaseWorld({ ...PROXY_CASES.groups[0]!, objects });
}

const clusterIPs = (text: string): number => text.match(/10\.43\.\d+\.\d+ \. tcp \. 80 : goto/g)?.length ?? 0;

test('a first sync goes by growing slices, a change writes its elements, an idle sync nothing', async () => {
  const { deps, transactions, flush } = recordingNft();
  await using backend = await openBackend('nftables', deps, { family: 'IPv4' });
  const model = world(1600);
  model.views();
  const views = model.trackers[0]!;
  const everything = { complete: false, ports: new Set<string>() };
  await backend.apply(views.view, everything, new Map(), signal);
  expect(transactions.map(clusterIPs)).toEqual([512, 1024, 64]);
  const unfinished = transactions.map((text) => text.includes('comment "unfinished"'));
  expect(unfinished).toEqual([true, true, false]);

  model.tracker.upsert(
    slice('shop/web-7-1', 'web-7', { ports: { http: 8080 }, endpoints: [{ ip: '10.42.1.10' }] }),
  );
  model.tracker.flush();
  const delta = views.refresh();
  await backend.apply(delta.view, delta.changes, delta.previous, signal);
  expect(transactions).toHaveLength(4);
  expect(transactions[3]!.split('\n').length).toBeLessThan(10);
  expect(transactions[3]).toContain('10.42.1.10 . 8080');

  const idle = { complete: true, ports: new Set<string>() };
  expect((await backend.apply(delta.view, idle, new Map(), signal)).full).toBe(false);
  expect(transactions).toHaveLength(4);
  flush();
  expect((await backend.apply(delta.view, idle, new Map(), signal)).full).toBe(true);
  expect(transactions.slice(4).map(clusterIPs)).toEqual([512, 1024, 64]);

  // another process that finds all in place writes nothing
  await using next = await openBackend('nftables', deps, { family: 'IPv4' });
  await next.apply(delta.view, everything, new Map(), signal);
  expect(transactions).toHaveLength(7);
});

test('clients of an endpoint that left and cannot be forgotten do not hold up the change', async () => {
  const { deps } = recordingNft();
  const exec: Exec = (program, args, options) =>
    args.includes('affinity')
      ? Promise.resolve({ exitCode: 1, stdout: '', stderr: 'Error: out of memory' })
      : deps.exec(program, args, options);
  await using backend = await openBackend('nftables', { ...deps, exec }, { family: 'IPv4' });
  const web = service('shop/web', { clusterIP: '10.43.0.1', sessionAffinity: 'ClientIP' });
  const behind = (...ips: string[]) =>
    slice('shop/web-1', 'web', { ports: { http: 8080 }, endpoints: ips.map((ip) => ({ ip })) });
  const objects = [web, behind('10.42.1.1', '10.42.1.2')];
  const model = new CaseWorld({ ...PROXY_CASES.groups[0]!, objects });
  model.views();
  const views = model.trackers[0]!;
  await backend.apply(views.view, { complete: false, ports: new Set() }, new Map(), signal);
  model.tracker.upsert(behind('10.42.1.1'));
  model.tracker.flush();
  const { view, changes, previous } = views.refresh();
  const applied = await backend.apply(view, changes, previous, signal);
  expect(applied).toMatchObject({ full: false, retried: false, cleanupFailed: true });
});
