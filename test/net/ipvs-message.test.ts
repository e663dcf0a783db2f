import '../support/property-seed.ts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatAddress, joinHostPort } from '../../src/net/ip.ts';
import { type IpvsChange, ipvsLine, serverKey, serverPlace } from '../../src/net/ipvs.ts';
import { readReal, readServer, writeIpvsChange } from '../../src/net/netlink/ipvs-message.ts';
import { MessageWriter, parseMessages } from '../../src/net/netlink/message.ts';

const FAMILY_ID = 35;
const port = fc.integer({ min: 0, max: 65_535 });
const ofSize = (bytes: number) => fc.uint8Array({ minLength: bytes, maxLength: bytes }).map(formatAddress);
const protocol = fc.constantFrom('tcp' as const, 'udp' as const, 'sctp' as const);
const server = fc.oneof(
  fc.record({
    scheduler: fc.constantFrom('rr', 'wlc', 'lblcr'),
    persistSeconds: fc.integer({ min: 0, max: 86_400 }),
    flags: fc.constantFrom('', 'flag-1', 'flag-1,flag-3'),
  }),
  fc.record({
    scheduler: fc.constant('mh'),
    persistSeconds: fc.constant(0),
    flags: fc.constantFrom('', 'mh-port', 'mh-fallback,mh-port'),
  }),
);
const place = fc
  .constantFrom(4, 16)
  .chain((bytes) =>
    fc.record({ protocol, address: ofSize(bytes), port, realAddress: ofSize(bytes), realPort: port }),
  )
  // IPv4 inside IPv6 is no address of a service
  .filter(({ address, realAddress }) => !/::ffff:/.test(address + realAddress));

function written(change: IpvsChange): { command: number | undefined; payload: Uint8Array } {
  const out = new MessageWriter();
  writeIpvsChange(out, FAMILY_ID, change, 0);
  const [message] = parseMessages(out.take());
  expect(message?.type).toBe(FAMILY_ID);
  return { command: message?.payload[0], payload: message?.payload ?? new Uint8Array() };
}

test('a virtual server comes back as it was written', () => {
  fc.assert(
    fc.property(place, server, ({ protocol: kind, address, port: number }, wanted) => {
      const key = serverKey(kind, address, number);
      expect(serverPlace(key)).toEqual({ protocol: kind, address, port: number });
      const { command, payload } = written({ verb: 'add-server', key, server: wanted });
      expect(command).toBe(1);
      expect(readServer(payload)).toEqual({ key, server: wanted });
    }),
  );
});

test('a real server comes back as it was written', () => {
  fc.assert(
    fc.property(place, fc.integer({ min: 0, max: 65_535 }), (at, weight) => {
      const key = serverKey(at.protocol, at.address, at.port);
      const real = joinHostPort(at.realAddress, at.realPort);
      const { command, payload } = written({ verb: 'edit-real', key, real, weight });
      expect(command).toBe(6);
      expect(readReal(payload, key.includes('['))).toEqual({
        real,
        weight,
        active: 0,
        connections: 0,
        bytesIn: 0,
        bytesOut: 0,
      });
      expect(readServer(payload)?.key).toBe(key);
    }),
  );
});

test('whatever the kernel might say is read without a fault', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, isIPv6) => {
      readServer(bytes);
      readReal(bytes, isIPv6);
    }),
  );
});

test('a change cut short, or with wrong bytes, is read without a fault', () => {
  const key = serverKey('tcp', '10.0.0.1', 80);
  const { payload } = written({ verb: 'add-real', key, real: '10.1.0.1:8080', weight: 1 });
  fc.assert(
    fc.property(fc.nat(payload.length), fc.nat(payload.length), fc.nat(255), (cut, at, value) => {
      const bytes = payload.slice(0, cut);
      if (at < cut) bytes[at] = value;
      readServer(bytes);
      readReal(bytes, false);
    }),
  );
});

test.for<[IpvsChange, string]>([
  [
    {
      verb: 'add-server',
      key: 'sctp [fd00::1]:9',
      server: { scheduler: 'sh', persistSeconds: 9, flags: 'sh-port' },
    },
    '-A --sctp-service [fd00::1]:9 -s sh -p 9 -b sh-port',
  ],
  [{ verb: 'delete-server', key: 'udp 10.0.0.1:53' }, '-D -u 10.0.0.1:53'],
  [
    { verb: 'add-real', key: 'tcp 10.0.0.1:80', real: '10.1.0.1:8080', weight: 1 },
    '-a -t 10.0.0.1:80 -r 10.1.0.1:8080 -m -w 1',
  ],
])('%o is told as %s', ([change, line]) => {
  expect(ipvsLine(change)).toBe(line);
});
