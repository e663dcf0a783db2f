import { describe, expect, test } from 'vitest';
import { NodeViewTracker } from '../../../endpoints/node-view-tracker.ts';
import type { NodeSettings } from '../../../endpoints/node-view.ts';
import { Tracker } from '../../../endpoints/tracker.ts';
import { decodeArp, encodeArp } from '../../../proxy/announce/layer2/arp.ts';
import { LinkAnnouncer } from '../../../proxy/announce/layer2/link-announcer.ts';
import { decodeNeighbor, encodeNeighbor, multicastMac } from '../../../proxy/announce/layer2/ndp.ts';
import { WantedAddresses } from '../../../proxy/announce/wanted-addresses.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { service, slice } from '../../support/kube-objects.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const OWN = Uint8Array.of(2, 0, 0, 0, 0, 1);
const OTHER = Uint8Array.of(2, 0, 0, 0, 0, 2);
const VIP = '192.0.2.100';
const VIP6 = 'fd00::100';

/** A link of which only the far end is missing. */
function openLink() {
  const clock = new FakeClock();
  const sent: Uint8Array[] = [];
  const groups: string[] = [];
  const contested: string[] = [];
  const receive = new Map<number, (frame: Uint8Array) => void>();
  const text = (group: Uint8Array): string => Buffer.from(group).toString('hex');
  const announcer = new LinkAnnouncer(
    {
      clock,
      log: silentLogger,
      onContested: (address) => contested.push(address),
      openSocket: ({ etherType }, onFrame) => {
        receive.set(etherType, onFrame);
        return {
          send: (frame) => void sent.push(frame),
          join: (group) => void groups.push(`+${text(group)}`),
          leave: (group) => void groups.push(`-${text(group)}`),
          [Symbol.dispose]: () => void receive.delete(etherType),
        };
      },
    },
    { interface: 'eth0', mac: OWN },
  );
  return { announcer, clock, sent, groups, contested, receive };
}

function ask(target: string): Uint8Array {
  if (!target.includes(':'))
    return encodeArp(
      {
        operation: 'request',
        senderMac: OTHER,
        senderIP: '192.0.2.9',
        targetMac: new Uint8Array(6),
        targetIP: target,
      },
      OWN,
    );
  const neighbor = { kind: 'solicitation', source: 'fd00::9', destination: target, target } as const;
  return encodeNeighbor({ ...neighbor, mac: OTHER, solicited: false, override: false }, OTHER, OWN);
}

describe('a link', () => {
  test('news of an address is repeated, then rests', async () => {
    const { announcer, clock, sent } = openLink();
    announcer.claim(VIP);
    expect(sent.map((frame) => decodeArp(frame))).toMatchObject([
      { arp: { operation: 'request', senderIP: VIP } },
      { arp: { operation: 'reply', senderIP: VIP } },
    ]);
    await clock.advance(60_000);
    expect(sent.length).toBe(10);
    announcer[Symbol.dispose]();
  });

  test.each([
    ['ARP', 0x0806, VIP, '192.0.2.101'],
    ['NDP', 0x86dd, VIP6, 'fd00::101'],
  ])(
    '%s: answers for what is claimed, for nothing else, and not once it is released',
    (_name, type, own, foreign) => {
      const { announcer, sent, receive } = openLink();
      announcer.claim(own);
      sent.length = 0;
      const frame = receive.get(type);
      frame?.(ask(foreign));
      expect(sent).toEqual([]);
      frame?.(ask(own));
      expect(sent.length).toBe(1);
      expect(sent[0]?.subarray(0, 6)).toEqual(OTHER);
      announcer.release(own);
      frame?.(ask(own));
      frame?.(new Uint8Array(3));
      expect(sent.length).toBe(1);
      announcer[Symbol.dispose]();
      expect(receive.size).toBe(0);
    },
  );

  test('another who says an address is theirs is told of; our own words are not', () => {
    const { announcer, sent, receive, contested } = openLink();
    announcer.claim(VIP);
    announcer.claim(VIP6);
    for (const frame of sent.splice(0)) {
      receive.get(0x0806)?.(frame);
      receive.get(0x86dd)?.(frame);
    }
    expect(contested).toEqual([]);
    const news = {
      operation: 'reply',
      senderMac: OTHER,
      senderIP: VIP,
      targetMac: OTHER,
      targetIP: VIP,
    } as const;
    receive.get(0x0806)?.(encodeArp(news, OWN));
    const neighbor = { kind: 'advertisement', source: VIP6, destination: 'ff02::1', target: VIP6 } as const;
    receive.get(0x86dd)?.(
      encodeNeighbor({ ...neighbor, mac: OTHER, solicited: false, override: true }, OTHER, OWN),
    );
    expect(contested).toEqual([VIP, VIP6]);
    announcer[Symbol.dispose]();
  });

  test('a group is left with the last address in it', () => {
    const { announcer, groups } = openLink();
    announcer.claim(VIP6);
    announcer.claim('fd00:1::100'); // the same last three bytes
    announcer.release(VIP6);
    const group = Buffer.from(multicastMac('ff02::1:ff00:100')).toString('hex');
    expect(groups).toEqual([`+${group}`, `+${group}`]);
    announcer.release('fd00:1::100');
    expect(groups.at(-1)).toBe(`-${group}`);
    announcer[Symbol.dispose]();
  });

  test('an answer to who asks is valid neighbour discovery', () => {
    const { announcer, sent, receive } = openLink();
    announcer.claim(VIP6);
    receive.get(0x86dd)?.(ask(VIP6));
    expect(decodeNeighbor(sent.at(-1)!)).toMatchObject({
      neighbor: { kind: 'advertisement', target: VIP6, destination: 'fd00::9', solicited: true, mac: OWN },
    });
    announcer[Symbol.dispose]();
  });
});

const settings: NodeSettings = {
  name: 'alpha',
  zone: undefined,
  family: 'IPv4',
  addresses: ['192.0.2.11'],
  primaryAddresses: ['192.0.2.11'],
  nodePortAddresses: [],
  detectLocal: { mode: 'None' },
  masqueradeAll: false,
  localhostNodePorts: true,
  serviceCIDRs: [],
  allowExternalIPs: false,
};

describe('addresses to announce', () => {
  const balanced = (name: string, ip: string, more = {}) =>
    service(
      `shop/${name}`,
      { type: 'LoadBalancer', clusterIP: '10.96.0.1', ports: [{ name: 'http', port: 80 }], ...more },
      [ip],
    );
  const behind = (name: string, ...endpoints: readonly { ip: string; nodeName?: string }[]) =>
    slice(`shop/${name}-1`, name, { ports: { http: 8080 }, endpoints });

  function open(ranges: readonly string[] = []) {
    const tracker = new Tracker({ log: silentLogger });
    const wanted = new WantedAddresses(new NodeViewTracker(tracker, settings), { ranges });
    const apply = (...objects: readonly Parameters<Tracker['upsert']>[0][]) => {
      for (const object of objects) tracker.upsert(object);
      tracker.flush();
      return wanted.refresh();
    };
    return { apply, wanted };
  }

  test('come with the first endpoint and go with the last', () => {
    const { apply } = open();
    expect(apply(balanced('web', VIP))).toEqual({ added: [], removed: [] });
    expect(apply(behind('web', { ip: '10.0.0.1' }))).toEqual({ added: [VIP], removed: [] });
    expect(apply(behind('web', { ip: '10.0.0.1' }, { ip: '10.0.0.2' }))).toEqual({ added: [], removed: [] });
    expect(apply(behind('web'))).toEqual({ added: [], removed: [VIP] });
  });

  test('under policy Local only nodes with a ready endpoint stand', () => {
    const { apply } = open();
    const local = balanced('web', VIP, { externalTrafficPolicy: 'Local', healthCheckNodePort: 30_001 });
    expect(apply(local, behind('web', { ip: '10.0.0.1', nodeName: 'beta' })).added).toEqual([]);
    expect(apply(behind('web', { ip: '10.0.0.2', nodeName: 'alpha' })).added).toEqual([VIP]);
  });

  test('an address shared by services stays while one of them has endpoints', () => {
    const { apply } = open();
    apply(
      balanced('a', VIP),
      balanced('b', VIP),
      behind('a', { ip: '10.0.0.1' }),
      behind('b', { ip: '10.0.0.2' }),
    );
    expect(apply(behind('a')).removed).toEqual([]);
    expect(apply(behind('b')).removed).toEqual([VIP]);
  });

  test('an address that moves to another service within one change neither comes nor goes', () => {
    const { apply } = open();
    apply(balanced('a', VIP), behind('a', { ip: '10.0.0.1' }), behind('b', { ip: '10.0.0.1' }));
    expect(apply(balanced('a', '192.0.2.101'), balanced('b', VIP))).toEqual({
      added: ['192.0.2.101'],
      removed: [],
    });
  });

  test('a node that may not stand gives all back, and takes all when it may again', () => {
    const tracker = new Tracker({ log: silentLogger });
    const node = { isEligible: true };
    const wanted = new WantedAddresses(new NodeViewTracker(tracker, settings), {
      ranges: [],
      isEligible: () => node.isEligible,
    });
    for (const object of [balanced('web', VIP), behind('web', { ip: '10.0.0.1' })]) tracker.upsert(object);
    tracker.flush();
    expect(wanted.refresh().added).toEqual([VIP]);
    node.isEligible = false;
    expect(wanted.refresh()).toEqual({ added: [], removed: [VIP] });
    node.isEligible = true;
    expect(wanted.refresh()).toEqual({ added: [VIP], removed: [] });
  });

  test('those outside the ranges are somebody else’s', () => {
    const { apply } = open(['192.0.2.0/28']);
    expect(apply(balanced('web', VIP), behind('web', { ip: '10.0.0.1' })).added).toEqual([]);
  });
});
