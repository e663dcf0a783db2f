import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { passesGate } from '../../../dns/cluster/table/client-gate.ts';
import { cidrContains, parseCidr } from '../../../src/net/cidr.ts';
import { formatAddress, parseAddress } from '../../../src/net/ip.ts';

const address = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
);

describe('the gate of the table', () => {
  it('holds the same networks as everybody else', () => {
    fc.assert(
      fc.property(address, address, fc.nat(128), (network, client, bits) => {
        const cidr = parseCidr(`${formatAddress(network)}/${Math.min(bits, network.length * 8)}`)!;
        const near = Uint8Array.from(client, (byte, i) =>
          i * 8 < bits - 8 ? (cidr.network[i] ?? byte) : byte,
        );
        for (const one of [client, near, network]) {
          const passes = passesGate(
            [{ passes: false, types: undefined, networks: [cidr] }],
            1,
            one,
            one.length,
          );
          expect(passes).toBe(!cidrContains(cidr, one));
        }
      }),
    );
  });

  it('goes by the first line that fits, and lets pass who fits none', () => {
    const inside = { network: Uint8Array.of(10, 0, 0, 0), prefixBits: 8 };
    const policies = [
      { passes: false, types: [15], networks: [inside] },
      { passes: true, types: undefined, networks: [inside] },
      { passes: false, types: [1], networks: undefined },
    ];
    const passes = (type: number, from: string): boolean =>
      passesGate(policies, type, parseAddress(from)!, parseAddress(from)!.length);
    expect(passes(15, '10.1.2.3')).toBe(false);
    expect(passes(1, '10.1.2.3')).toBe(true);
    expect(passes(1, '192.0.2.1')).toBe(false);
    expect(passes(28, '::1')).toBe(true);
  });
});
