import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { modeEvaluator } from '../../proxy/backends.ts';
import { parsePacket, traceProxy, type ProxyTrace } from '../../proxy/packet/trace.ts';
import { CaseWorld, PROXY_CASES } from '../suites/backend.ts';

function trace(
  groupId: string,
  from: string,
  to: string,
  mode: 'iptables' | 'nftables' = 'iptables',
): ProxyTrace {
  const world = new CaseWorld(PROXY_CASES.groups.find(({ id }) => id === groupId)!);
  const views = world.views();
  const { snapshot } = world.tracker;
  const packet = parsePacket(from, to)!;
  return traceProxy({ snapshot, views, mode, evaluator: modeEvaluator(mode, views) }, packet);
}

const text = ({ steps }: ProxyTrace): string =>
  steps.map(({ topic, text: what }) => `${topic}: ${what}`).join('\n');

describe('a trace tells', () => {
  test('the way of a packet that is served', () => {
    const found = trace('cip-basic', '10.42.1.21', '10.43.0.53:53/udp');
    expect(text(found)).toBe(
      [
        'packet: 10.42.1.21 (a local pod) to 10.43.0.53:53/udp',
        'proxy: mode iptables on node alpha',
        'service: shop/resolver port dns (53), met by its cluster ip',
        'choice: no topology hints apply',
        'rule: internalTrafficPolicy Cluster',
        'verdict: to one of 10.42.1.21:1053, 10.42.3.21:1053, source kept ' +
          '(rewritten for 10.42.1.21:1053, the client itself)',
      ].join('\n'),
    );
    expect(found.endpoints.map(({ used }) => used)).toEqual([true, true]);
  });

  test('why each endpoint is in or out', () => {
    const { endpoints } = trace('topology-zone', '10.42.1.7', '10.43.10.1:80/tcp');
    expect(endpoints.map(({ endpoint, used, reason }) => `${endpoint} ${used} ${reason}`)).toEqual([
      '10.42.1.140:8080 true ready, on this node',
      '10.42.2.141:8080 false ready, but its hints name zone-b',
      '10.42.3.142:8080 false ready, but its hints name zone-c',
    ]);
  });

  test('why a service with that address is not served', () => {
    const skipped = trace('skipped', '10.42.1.7', '10.43.14.12:80/tcp');
    expect(text(skipped)).toContain(
      'not served: skip/foreign: the label service.kubernetes.io/service-proxy-name',
    );
    const balancer = trace('lb-ipmode', '198.51.100.7', '203.0.113.72:80/tcp');
    expect(text(balancer)).toMatch(/not served: .*ipMode is Proxy/);
  });
});

test('questions that are no packets are refused, never thrown', () => {
  const bad = ['10.0.0.1:80', '10.0.0.1:99999/tcp', '[fd00::1]:80/tcp', 'x:80/tcp', '10.0.0.1:80/icmp', ''];
  for (const to of bad) expect(parsePacket('10.0.0.2', to)).toBeUndefined();
  expect(parsePacket('10.0.0.2%eth0', '10.0.0.010:80/TCP')).toEqual({
    sourceAddress: '10.0.0.2',
    inputInterface: 'eth0',
    destinationAddress: '10.0.0.10',
    destinationPort: 80,
    protocol: 'tcp',
  });
  fc.assert(fc.property(fc.string(), fc.string(), (from, to) => void parsePacket(from, to)));
});

describe('weft trace', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-trace-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const weft = new URL('../../bin/weft', import.meta.url).pathname;
  const group = PROXY_CASES.groups.find(({ id }) => id === 'etp-local')!;
  const objects = join(folder, 'objects.json');
  writeFileSync(objects, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: group.objects }));
  const common = ['trace', '--node', 'alpha', '--cluster-cidr', '10.42.0.0/16', '--feature-gates'];
  const args = [...common, 'AllowServiceExternalIPs=true', '--from', objects];

  test('answers a batch of questions from manifests alone', () => {
    const cases = group.cases.filter(({ modes }) => modes.includes('iptables'));
    const questions = cases.map(({ from, to }) => JSON.stringify({ from: from.ip, to }));
    const { stdout } = spawnSync(weft, [...args, '--mode', 'iptables', '--batch', '-'], {
      encoding: 'utf8',
      input: [...questions, '{"from":1}', ''].join('\n'),
    });
    const answers = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(answers.pop()).toHaveProperty('error');
    expect(answers.map(({ verdict }) => verdict)).toEqual(cases.map((each) => each.expect.verdict));
    expect(answers.map(({ backends }) => backends)).toEqual(cases.map((each) => each.expect.backends));
  });

  test('prints a table for people and one sentence for mistakes', () => {
    const good = spawnSync(weft, [...args, '10.42.1.7', '--to', '203.0.113.40:80'], { encoding: 'utf8' });
    expect(good.stdout).toContain('pods see the whole service under externalTrafficPolicy Local');
    expect(good.stdout).toMatch(/ENDPOINT +NODE +IN +WHY/);
    const bad = spawnSync(weft, [...args, 'nowhere/pod', '--to', '203.0.113.40:80'], { encoding: 'utf8' });
    expect(bad.status).toBe(64);
    expect(bad.stderr).toContain('no such file, pod or node');
    expect(spawnSync(weft, ['trace', '--from', objects]).status).toBe(64);
  });
});
