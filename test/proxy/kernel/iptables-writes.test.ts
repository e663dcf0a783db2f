import { describe, expect, test } from 'vitest';
import type { NodeView, ServicePortView } from '../../../endpoints/node-view.ts';
import { openBackend } from '../../../proxy/backends.ts';
import { Ruleset } from '../../../proxy/iptables/ruleset.ts';
import { silentLogger } from '../../../src/base/log.ts';
import type { Exec } from '../../../src/net/exec.ts';
import { service, slice } from '../../support/kube-objects.ts';
import { CaseWorld, PROXY_CASES } from '../../suites/backend.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const base = { masqueradeMark: 0x4000, dropInvalid: true, randomFully: true };
const NOTHING: ReadonlyMap<string, ServicePortView> = new Map();
const signal = new AbortController().signal;

function viewOf(services: number, endpoints: number): NodeView {
  const objects = Array.from({ length: services }, (_, i) => [
    service(`shop/web-${i}`, { clusterIP: `10.43.${i >> 8}.${i & 255}` }),
    slice(`shop/web-${i}-1`, `web-${i}`, {
      ports: { http: 8080 },
      endpoints: Array.from({ length: endpoints }, (_each, k) => ({ ip: `10.42.${k >> 8}.${k & 255}` })),
    }),
  ]).flat();
  return new CaseWorld({ ...PROXY_CASES.groups[0]!, objects }).views()[0]!;
}

/** Programs that succeed and say what they are told to; what they were given is kept. */
function recording(saved: Readonly<Record<string, string>> = {}) {
  const inputs: string[] = [];
  const exec: Exec = (program, args, options = {}) => {
    if (program.endsWith('-restore')) inputs.push(String(options.input));
    const stdout = program.endsWith('-save') ? (saved[args[1] ?? ''] ?? '') : '';
    return Promise.resolve({ exitCode: 0, stdout, stderr: '' });
  };
  return { deps: { clock: new FakeClock(), log: silentLogger, exec }, inputs };
}

const everything = { complete: false, ports: new Set<string>() };

describe('large clusters', () => {
  test.for([
    { endpoints: 1000, comments: true },
    { endpoints: 1001, comments: false },
  ])('$endpoints endpoints: comments of rules per endpoint: $comments', ({ endpoints, comments }) => {
    const view = viewOf(1, endpoints);
    const ruleset = new Ruleset(view.node, base);
    const text = ruleset.change(view, view.ports.keys(), { removeStale: true });
    expect(ruleset.isLarge).toBe(!comments);
    expect(text.includes('-> 10.42.0.1:8080')).toBe(comments);
    expect(text).toContain('"shop/web-0:http cluster IP"');
  });

  test('chains that nothing uses may wait for a later restore', () => {
    const [many, few] = [viewOf(1, 3), viewOf(1, 2)];
    const ruleset = new Ruleset(many.node, base);
    ruleset.change(many, many.ports.keys(), { removeStale: true });
    expect(ruleset.change(few, few.ports.keys(), { removeStale: false })).not.toContain('-X');
    expect(ruleset.hasStale).toBe(true);
    expect(ruleset.change(few, [], { removeStale: true })).toMatch(/^-X KUBE-SEP-[A-Z2-7]{16}$/m);
    expect(ruleset.hasStale).toBe(false);
  });

  test('a chain that is wanted again is no longer to be removed', () => {
    const [many, few] = [viewOf(1, 3), viewOf(1, 2)];
    const ruleset = new Ruleset(many.node, base);
    ruleset.change(many, many.ports.keys(), { removeStale: true });
    ruleset.change(few, few.ports.keys(), { removeStale: false });
    ruleset.change(many, many.ports.keys(), { removeStale: false });
    expect(ruleset.hasStale).toBe(false);
  });
});

describe('what is restored', () => {
  test('a first sync: canaries, chains and jumps together; the first services before the last', async () => {
    const { deps, inputs } = recording();
    await using backend = await openBackend('iptables', deps, { family: 'IPv4' });
    await backend.apply(viewOf(2000, 1), everything, NOTHING, signal);
    expect(inputs).toHaveLength(3);
    const [first = '', second = '', third = ''] = inputs;
    for (const table of ['mangle', 'nat', 'filter'])
      expect(first).toContain(`*${table}\n:KUBE-PROXY-CANARY - [0:0]\nCOMMIT`);
    expect(first.match(/^-I PREROUTING 1 .*-j KUBE-SERVICES$/gm)).toHaveLength(1);
    const services = (text: string): number => text.match(/^-A KUBE-SERVICES .*cluster IP/gm)?.length ?? 0;
    expect([first, second, third].map(services)).toEqual([512, 1536, 2000]);
    const own = (text: string): number => text.match(/^:KUBE-SVC-/gm)?.length ?? 0;
    expect([first, second, third].map(own)).toEqual([512, 1024, 464]);
  });

  test('says how many rules it holds and has written', async () => {
    const { deps, inputs } = recording();
    await using backend = await openBackend('iptables', deps, { family: 'IPv4' });
    const { rules } = await backend.apply(viewOf(3, 2), everything, NOTHING, signal);
    const tables = inputs.join('').split('COMMIT\n');
    for (const table of ['filter', 'nat']) {
      const text = tables.filter((each) => each.startsWith(`*${table}\n`)).join('');
      const held = text.match(/^-A /gm)?.length;
      expect(rules?.[table]).toEqual({ held, written: held! + (text.match(/^-I /gm)?.length ?? 0) });
    }
  });

  test('jumps that are there stay where somebody put them', async () => {
    const saved = { nat: '-A PREROUTING -m comment --comment "mine" -j KUBE-SERVICES\n' };
    const { deps, inputs } = recording(saved);
    await using backend = await openBackend('iptables', deps, { family: 'IPv4' });
    await backend.apply(viewOf(1, 1), everything, NOTHING, signal);
    expect(inputs[0]).not.toContain('-I PREROUTING');
    expect(inputs[0]).toContain('-I OUTPUT 1');
  });

  test('what the kernel has of ours is replaced at once, not by slices', async () => {
    const { deps, inputs } = recording({ nat: ':KUBE-SVC-OLDOLDOLDOLDOLDO - [0:0]\n' });
    await using backend = await openBackend('iptables', deps, { family: 'IPv4' });
    await backend.apply(viewOf(2000, 1), everything, NOTHING, signal);
    expect(inputs).toHaveLength(1);
    expect(inputs[0]).toContain('-X KUBE-SVC-OLDOLDOLDOLDOLDO\n');
  });

  test('cleanup takes kube-proxy’s rules out too, whatever leads into them', async () => {
    const nat = [
      ':PREROUTING ACCEPT [0:0]',
      ':KUBE-SERVICES - [0:0]',
      ':KUBE-MARK-MASQ - [0:0]',
      ':KUBE-LOAD-BALANCER - [0:0]',
      ':OTHER - [0:0]',
      '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
      '-A PREROUTING -j OTHER',
      '-A KUBE-LOAD-BALANCER -j KUBE-MARK-MASQ',
    ];
    const { deps, inputs } = recording({ nat: `${nat.join('\n')}\n` });
    await using backend = await openBackend('iptables', deps, { family: 'IPv4' });
    await backend.cleanup(signal);
    expect(inputs).toEqual([
      '*nat\n:KUBE-SERVICES - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n' +
        '-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES\n' +
        '-D KUBE-LOAD-BALANCER -j KUBE-MARK-MASQ\n' +
        '-X KUBE-SERVICES\n-X KUBE-MARK-MASQ\nCOMMIT\n',
    ]);
  });
});
