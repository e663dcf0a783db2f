import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { type AnnounceFlags, addAnnounceFlags, announceOptions } from '../../src/cli/node/announce-flags.ts';
import { register } from '../../src/cli/node/node.ts';
import type { CliContext } from '../../src/cli/context.ts';
import { silentLogger } from '../../src/base/log.ts';

const HOST = { nodeName: 'alpha', nodeIP: '192.0.2.11', keepsForwarding: true };

function quiet(command: Command): Command {
  return command.exitOverride().configureOutput({ writeErr: () => {}, writeOut: () => {} });
}

function parse(...args: readonly string[]): AnnounceFlags {
  const command = addAnnounceFlags(quiet(new Command('node')));
  return command.parse([...args], { from: 'user' }).opts();
}

describe('what is announced', () => {
  test('nothing unless asked', () => {
    expect(announceOptions(parse(), HOST)).toBeUndefined();
    expect(announceOptions(parse('--announce-range', '192.0.2.0/24'), HOST)).toBeUndefined();
  });

  test('peers of both families, the router id from the node', () => {
    const peers = [
      '--bgp-as',
      '4200000001',
      '--bgp-peer',
      '64512@192.0.2.1',
      '--bgp-peer',
      '64512@[fd00::1]:1179',
    ];
    const more = ['--bgp-next-hop', 'fd00::11', '--bgp-community', '64513:7', '--bgp-hold-seconds', '9'];
    const flags = parse(...peers, ...more);
    expect(announceOptions(flags, HOST)?.bgp).toEqual({
      autonomousSystem: 4_200_000_001,
      routerId: '192.0.2.11',
      peers: [
        { autonomousSystem: 64_512, address: '192.0.2.1', port: 179 },
        { autonomousSystem: 64_512, address: 'fd00::1', port: 1179 },
      ],
      holdSeconds: 9,
      restartSeconds: 120,
      keepsForwarding: true,
      nextHops: { IPv6: 'fd00::11' },
      communities: ['64513:7'],
    });
  });

  test('bare IPv6 addresses are peers too', () => {
    expect(parse('--bgp-peer', '64512@fd00::1').bgpPeer).toEqual([
      { autonomousSystem: 64_512, address: 'fd00::1', port: 179 },
    ]);
  });

  test.each([
    [['--bgp-peer', '64512@192.0.2.1,password=secret'], /MD5 signatures \(RFC 2385\) are not supported/],
    [['--bgp-peer', '192.0.2.1'], /Use AS@ADDRESS/],
    [['--bgp-peer', '64512@router.example'], /Use AS@ADDRESS/],
    [['--bgp-peer', '0@192.0.2.1'], /from 1 to 4294967295/],
    [['--bgp-as', '4294967296'], /from 1 to 4294967295/],
    [['--bgp-hold-seconds', '2'], /3 to 65535/],
    [['--bgp-community', '64513:70000'], /AS:VALUE/],
    [['--bgp-router-id', 'fd00::1'], /IPv4 address/],
    [['--announce-range', '192.0.2.0'], /ADDRESS\/BITS/],
  ])('%j is refused with what to write instead', (args, message) => {
    expect(() => parse(...args)).toThrow(message);
  });

  test('peers without an autonomous system, nodes without an IPv4 address', () => {
    const peer = ['--bgp-peer', '64512@192.0.2.1'];
    expect(() => announceOptions(parse(...peer), HOST)).toThrow('--bgp-peer needs --bgp-as');
    const flags = parse(...peer, '--bgp-as', '64513');
    expect(() => announceOptions(flags, { ...HOST, nodeIP: 'fd00::11' })).toThrow('needs --bgp-router-id');
  });
});

describe('weft node', () => {
  const context: CliContext = {
    stdout: { write() {}, isTTY: false, columns: 120 },
    stderr: { write() {}, isTTY: false },
    stdin: (async function* () {})(),
    env: {},
    log: silentLogger,
    stop: new AbortController().signal,
    onReload: () => ({ [Symbol.dispose]() {} }),
  };

  async function run(...args: readonly string[]): Promise<void> {
    const program = quiet(new Command('weft'));
    register(program, context);
    for (const command of program.commands) quiet(command);
    await program.parseAsync(['node', ...args], { from: 'user' });
  }

  test.each([
    [['--kubelet'], /--kubelet needs --pod-cidr/],
    [['--pod-routes'], /--pod-routes needs --pod-cidr/],
    [['--proxy-protocol', 'v3'], /use v1 or v2/],
    [['--proxy-mode', 'ebpf'], /--proxy-mode/],
    [['--dns-address', 'resolver'], /Use an IP address/],
    [['--dns-port', '99999'], /Use a port/],
    [['--kubeconfig', '/nowhere/config'], /\/nowhere\/config.*Name a kubeconfig/],
    [[], /Name a kubeconfig with --kubeconfig/],
  ])('%j says what is wrong before anything opens', async (args, message) => {
    await expect(run(...args)).rejects.toThrow(message);
  });
});
