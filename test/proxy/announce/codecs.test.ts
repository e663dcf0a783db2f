import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeBgp, messageLength } from '../../../proxy/announce/bgp/decode.ts';
import { encodeBgp } from '../../../proxy/announce/bgp/encode.ts';
import { type BgpMessage, HEADER_BYTES, notificationText } from '../../../proxy/announce/bgp/message.ts';
import { arpReply, decodeArp, encodeArp, gratuitousArps } from '../../../proxy/announce/layer2/arp.ts';
import {
  decodeNeighbor,
  encodeNeighbor,
  multicastMac,
  neighborReply,
  solicitedNodeGroup,
  unsolicitedAdvertisement,
} from '../../../proxy/announce/layer2/ndp.ts';
import { parseCidr, type Cidr } from '../../../src/net/cidr.ts';
import { formatAddress } from '../../../src/net/ip.ts';

const bytesOf = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Uint8Array.from(bytes));
const mac = bytesOf(6);
const ipv4 = bytesOf(4).map(formatAddress);
// an IPv4-mapped address has a text of its own that no link ever carries
const ipv6 = bytesOf(16)
  .filter((bytes) => bytes.subarray(0, 10).some((byte) => byte !== 0))
  .map(formatAddress);
const prefix = fc
  .oneof(fc.tuple(ipv4, fc.integer({ min: 0, max: 32 })), fc.tuple(ipv6, fc.integer({ min: 0, max: 128 })))
  .map(([address, bits]) => parseCidr(`${address}/${bits}`))
  .filter((found): found is Cidr => found !== undefined);
const as = fc.integer({ min: 1, max: 2 ** 32 - 1 });
const families = fc.uniqueArray(fc.constantFrom('IPv4' as const, 'IPv6' as const), { minLength: 1 });

const open: fc.Arbitrary<BgpMessage> = families.chain((known) =>
  fc.record({
    type: fc.constant('open' as const),
    autonomousSystem: as,
    holdSeconds: fc.oneof(fc.constant(0), fc.integer({ min: 3, max: 0xffff })),
    routerId: ipv4.filter((text) => text !== '0.0.0.0'),
    capabilities: fc.record({
      families: fc.constant(known),
      fourByteAs: fc.constant(true),
      routeRefresh: fc.boolean(),
      gracefulRestart: fc.option(
        fc.record({
          restarted: fc.boolean(),
          seconds: fc.integer({ min: 0, max: 0xfff }),
          forwarding: fc.constantFrom([], known),
        }),
        { nil: undefined },
      ),
    }),
  }),
);
const update: fc.Arbitrary<BgpMessage> = fc
  .record({
    withdrawn: fc.array(prefix, { maxLength: 20 }),
    announced: fc.array(prefix, { maxLength: 20 }),
    asPath: fc.array(as, { maxLength: 5 }),
    localPreference: fc.option(fc.nat(), { nil: undefined }),
    communities: fc.array(
      fc.tuple(fc.nat(0xffff), fc.nat(0xffff)).map((pair) => pair.join(':')),
      { maxLength: 3 },
    ),
    hops: fc.tuple(ipv4, ipv6),
  })
  .map(({ withdrawn, announced, hops, ...path }) => {
    // one message speaks of one family, as ours do
    const family = announced[0]?.family ?? withdrawn[0]?.family ?? 'IPv4';
    const own = (all: readonly Cidr[]): readonly Cidr[] => all.filter((each) => each.family === family);
    const nextHop = family === 'IPv4' ? hops[0] : hops[1];
    const isEmpty = own(announced).length + own(withdrawn).length === 0;
    return {
      type: 'update' as const,
      withdrawn: own(withdrawn),
      announced: own(announced),
      path: own(announced).length > 0 ? { ...path, nextHop } : undefined,
      endOf: isEmpty ? ('IPv4' as const) : undefined,
    };
  });
const notification: fc.Arbitrary<BgpMessage> = fc.record({
  type: fc.constant('notification' as const),
  code: fc.nat(255),
  subcode: fc.nat(255),
  data: fc.uint8Array({ maxLength: 20 }).map((bytes) => Uint8Array.from(bytes)),
});
const refresh = fc.constantFrom('IPv4' as const, 'IPv6' as const);
const message: fc.Arbitrary<BgpMessage> = fc.oneof(
  open,
  update,
  notification,
  fc.constant({ type: 'keepalive' as const }),
  refresh.map((family) => ({ type: 'route-refresh' as const, family })),
);

describe('BGP', () => {
  test('what is encoded is decoded again', () => {
    fc.assert(
      fc.property(message, (each) => {
        const bytes = encodeBgp(each, { fourByteAs: true });
        expect(messageLength(bytes)).toEqual({ value: bytes.length });
        expect(decodeBgp(bytes, { fourByteAs: true })).toEqual({ value: each });
      }),
    );
  });

  test('whatever comes is a message or a fault, never a throw', () => {
    const header = (body: Uint8Array, type: number): Uint8Array => {
      const sizeBytes = HEADER_BYTES + body.length;
      return Uint8Array.from([...Array(16).fill(0xff), sizeBytes >> 8, sizeBytes & 0xff, type, ...body]);
    };
    const any = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(any, fc.integer({ min: 0, max: 6 }), fc.boolean(), (body, type, fourByteAs) => {
        for (const bytes of [Uint8Array.from(body), header(Uint8Array.from(body), type)]) {
          const decoded = decodeBgp(bytes, { fourByteAs });
          expect('value' in decoded || decoded.fault.reason.length > 0).toBe(true);
        }
      }),
    );
  });

  test('a valid message with a byte changed is a message or a fault', () => {
    fc.assert(
      fc.property(message, fc.nat(), fc.nat(255), (each, at, byte) => {
        const bytes = encodeBgp(each, { fourByteAs: true });
        bytes[at % bytes.length] = byte;
        expect(() => decodeBgp(bytes, { fourByteAs: true })).not.toThrow();
      }),
    );
  });

  test('an OPEN is the bytes of the RFCs', () => {
    const bytes = encodeBgp(
      {
        type: 'open',
        autonomousSystem: 4_200_000_001,
        holdSeconds: 90,
        routerId: '192.0.2.1',
        capabilities: {
          families: ['IPv4'],
          fourByteAs: true,
          routeRefresh: false,
          gracefulRestart: { restarted: true, seconds: 120, forwarding: ['IPv4'] },
        },
      },
      { fourByteAs: false },
    );
    expect(Buffer.from(bytes).toString('hex')).toBe(
      'ff'.repeat(16) + // marker
        '003301' + // 51 bytes, OPEN
        '045ba0005ac0000201' + // version 4, AS_TRANS, 90 s, router id
        '160214' + // parameters: capabilities
        '010400010001' + // multiprotocol IPv4 unicast
        '4104fa56ea01' + // four bytes of AS
        '40068078' + // graceful restart: restarted, 120 s
        '00010180',
    );
  });

  test.each([
    ['a marker that is not all ones', (bytes: Uint8Array) => bytes.fill(0, 3, 4), 1, 1],
    ['a length below the header', (bytes: Uint8Array) => bytes.fill(0, 16, 18), 1, 2],
    ['an unknown type', (bytes: Uint8Array) => bytes.fill(9, 18, 19), 1, 3],
    ['another version', (bytes: Uint8Array) => bytes.fill(3, 19, 20), 2, 1],
    ['autonomous system 0', (bytes: Uint8Array) => bytes.fill(0, 20, 22), 2, 2],
    ['a hold time of 1 s', (bytes: Uint8Array) => bytes.set([0, 1], 22), 2, 6],
    ['router id 0', (bytes: Uint8Array) => bytes.fill(0, 24, 28), 2, 3],
  ])('%s is answered by its own NOTIFICATION', (_name, spoil, code, subcode) => {
    const capabilities = {
      families: [],
      fourByteAs: false,
      routeRefresh: false,
      gracefulRestart: undefined,
    };
    const bytes = encodeBgp(
      { type: 'open', autonomousSystem: 64_512, holdSeconds: 90, routerId: '192.0.2.1', capabilities },
      { fourByteAs: false },
    );
    spoil(bytes);
    expect(decodeBgp(bytes, { fourByteAs: false })).toMatchObject({ fault: { code, subcode } });
  });

  test('notifications are told in words', () => {
    expect(notificationText({ code: 2, subcode: 2 })).toBe('OPEN message error: bad peer AS');
    expect(notificationText({ code: 6, subcode: 99 })).toBe('cease: subcode 99');
    expect(notificationText({ code: 77, subcode: 0 })).toBe('error 77');
  });
});

describe('ARP', () => {
  test('what is encoded is decoded again, frames are long enough for Ethernet', () => {
    const arp = fc.record({
      operation: fc.constantFrom('request' as const, 'reply' as const),
      senderMac: mac,
      senderIP: ipv4,
      targetMac: mac,
      targetIP: ipv4,
    });
    fc.assert(
      fc.property(arp, mac, (each, to) => {
        const frame = encodeArp(each, to);
        expect(frame.length).toBe(60);
        expect(decodeArp(frame)).toEqual({ arp: each });
      }),
    );
  });

  test('whatever comes never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (frame) => {
        expect(() => decodeArp(Uint8Array.from(frame))).not.toThrow();
      }),
    );
  });

  test('an answer turns the question around; the news goes out in both forms', () => {
    const own = Uint8Array.of(2, 0, 0, 0, 0, 1);
    const asker = Uint8Array.of(2, 0, 0, 0, 0, 9);
    const question = {
      operation: 'request',
      senderMac: asker,
      senderIP: '192.0.2.9',
      targetMac: new Uint8Array(6),
      targetIP: '192.0.2.100',
    } as const;
    expect(decodeArp(arpReply(question, own))).toEqual({
      arp: {
        operation: 'reply',
        senderMac: own,
        senderIP: '192.0.2.100',
        targetMac: asker,
        targetIP: '192.0.2.9',
      },
    });
    const news = gratuitousArps('192.0.2.100', own).map((frame) => decodeArp(frame));
    expect(news).toMatchObject([
      { arp: { operation: 'request', senderIP: '192.0.2.100', targetIP: '192.0.2.100' } },
      { arp: { operation: 'reply', senderIP: '192.0.2.100', targetIP: '192.0.2.100' } },
    ]);
  });
});

describe('neighbour discovery', () => {
  test('what is encoded is decoded again; a changed byte is noticed', () => {
    const neighbor = fc.record({
      kind: fc.constantFrom('solicitation' as const, 'advertisement' as const),
      source: ipv6,
      destination: ipv6,
      target: ipv6,
      mac: fc.option(mac, { nil: undefined }),
      flags: fc.tuple(fc.boolean(), fc.boolean()),
    });
    fc.assert(
      fc.property(neighbor, mac, mac, fc.nat(), ({ flags, ...rest }, from, to, at) => {
        const [solicited, override] = rest.kind === 'advertisement' ? flags : [false, false];
        const each = { ...rest, solicited, override };
        const frame = encodeNeighbor(each, from, to);
        expect(decodeNeighbor(frame)).toEqual({ neighbor: each });
        const place = 22 + (at % (frame.length - 22));
        frame[place] = (frame[place] ?? 0) ^ 0x10;
        expect(decodeNeighbor(frame)).toHaveProperty('fault');
      }),
    );
  });

  test('whatever comes never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (frame) => {
        expect(() => decodeNeighbor(Uint8Array.from(frame))).not.toThrow();
      }),
    );
  });

  test('groups and hardware addresses are those of the RFCs', () => {
    expect(solicitedNodeGroup('fd00::1:2345:6789')).toBe('ff02::1:ff45:6789');
    expect(multicastMac('ff02::1:ff45:6789')).toEqual(Uint8Array.of(0x33, 0x33, 0xff, 0x45, 0x67, 0x89));
  });

  test('who asks without an address is told with all others', () => {
    const own = Uint8Array.of(2, 0, 0, 0, 0, 1);
    const asker = Uint8Array.of(2, 0, 0, 0, 0, 9);
    const question = {
      kind: 'solicitation',
      source: '::',
      destination: solicitedNodeGroup('fd00::100'),
      target: 'fd00::100',
      mac: undefined,
      solicited: false,
      override: false,
    } as const;
    expect(neighborReply(question, asker, own)).toEqual(unsolicitedAdvertisement('fd00::100', own));
    const reply = decodeNeighbor(neighborReply({ ...question, source: 'fd00::9' }, asker, own));
    expect(reply).toMatchObject({
      neighbor: { destination: 'fd00::9', target: 'fd00::100', mac: own, solicited: true, override: true },
    });
  });
});
