import { describe, expect, it } from 'vitest';
import { exec } from '../../src/net/exec.ts';
import { Iptables, renderRestore, type IptablesVariant } from '../../src/net/iptables.ts';
import { type Rule, renderRule } from '../../src/net/iptables-rule.ts';
import { Nft } from '../../src/net/nft.ts';

const jump: Rule = {
  comment: 'web "port"\n',
  matches: [
    { kind: 'protocol', protocol: 'tcp' },
    { kind: 'destination', cidr: '10.96.0.1/32' },
    { kind: 'destination-port', port: 80 },
  ],
  target: { kind: 'jump', chain: 'KUBE-SVC-A' },
};

describe('rule text', () => {
  it.each<[string, Rule, string]>([
    [
      'a comment cannot leave its quotes',
      jump,
      '-m comment --comment "web port" -p tcp -d 10.96.0.1/32 --dport 80 -j KUBE-SVC-A',
    ],
    [
      'IPv6 destinations are bracketed',
      { matches: [], target: { kind: 'dnat', address: 'fd00::1', port: 80 } },
      '-j DNAT --to-destination [fd00::1]:80',
    ],
    [
      'probabilities have ten digits',
      { matches: [{ kind: 'statistic', probability: 1 / 3 }], target: { kind: 'return' } },
      '-m statistic --mode random --probability 0.3333333333 -j RETURN',
    ],
    [
      'marks are hexadecimal',
      { matches: [{ kind: 'mark', value: 0x4000, mask: 0x4000, negate: true }], target: { kind: 'return' } },
      '-m mark ! --mark 0x4000/0x4000 -j RETURN',
    ],
  ])('%s', (_name, rule, text) => expect(renderRule(rule)).toBe(text));

  it('declares chains, fills them and removes the dead ones', () => {
    const text = renderRestore([{ table: 'nat', chains: new Map([['A', [jump]]]), removedChains: ['B'] }]);
    expect(text.split('\n').map((line) => line.slice(0, 12))).toEqual([
      '*nat',
      ':A - [0:0]',
      ':B - [0:0]',
      '-A A -m comm',
      '-X B',
      'COMMIT',
      '',
    ]);
  });
});

/** Runs in a network namespace of its own, so that the host's rules are never touched. */
const inNamespace: typeof exec = (program, args, options) =>
  exec('unshare', ['-n', program, ...args], options);

describe.each<IptablesVariant>(['nft', 'legacy'])('real iptables-%s', (variant) => {
  it('loads what it renders, in one namespace', async (ctx) => {
    if (process.getuid?.() !== 0) ctx.skip('needs root');
    const input = renderRestore([
      {
        table: 'nat',
        chains: new Map([
          ['KUBE-SVC-A', []],
          ['KUBE-SERVICES', [jump]],
        ]),
      },
    ]);
    const script = `iptables-${variant}-restore -w 5 --noflush && iptables-${variant} -t nat -S KUBE-SERVICES`;
    const result = await exec('unshare', ['-n', 'sh', '-c', script], { input });
    expect(result.stdout).toContain('--comment "web port"');
  });

  it('names the failing line', async (ctx) => {
    if (process.getuid?.() !== 0) ctx.skip('needs root');
    const tables = new Iptables({ exec: inNamespace }, { family: 'IPv4', variant });
    const broken = '*nat\n:A - [0:0]\n-A A -j NO-SUCH-CHAIN\nCOMMIT\n';
    await expect(tables.restoreText(broken)).rejects.toMatchObject({
      code: 'IPTABLES_RESTORE_FAILED',
      message: expect.stringContaining('-A A -j NO-SUCH-CHAIN') as string,
    });
  });
});

describe('real nft', () => {
  it('names the failing line', async (ctx) => {
    if (process.getuid?.() !== 0) ctx.skip('needs root');
    const nft = new Nft({ exec: inNamespace });
    await expect(nft.transaction('add table ip t\nadd chain ip absent c\n')).rejects.toMatchObject({
      code: 'NFT_NOT_FOUND',
      message: expect.stringContaining('add chain ip absent c') as string,
    });
  });

  it('says when there is nothing to delete', async (ctx) => {
    if (process.getuid?.() !== 0) ctx.skip('needs root');
    expect(await new Nft({ exec: inNamespace }).deleteTable('ip', 'none')).toBe(false);
  });
});
