import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { describe, expect, it } from 'vitest';
import {
  cidrAddressAt,
  cidrContains,
  formatCidr,
  parseCidr,
  parseCidrOrAddress,
} from '../../src/net/cidr.ts';
import {
  canonicalAddress,
  familyOf,
  formatAddress,
  joinHostPort,
  parseAddress,
  splitHostPort,
} from '../../src/net/ip.ts';

describe('addresses', () => {
  it.each([
    ['10.0.0.1', 'IPv4'],
    ['::1', 'IPv6'],
    ['2001:db8::1', 'IPv6'],
    ['10.0.0.01', undefined],
    ['10.1', undefined],
    ['256.1.1.1', undefined],
    ['fe80::1%eth0', undefined],
    ['', undefined],
    ['web', undefined],
  ])('family of %j is %s', (text, family) => expect(familyOf(text)).toBe(family));

  it('has one canonical text for each address', () => {
    expect(canonicalAddress('2001:0DB8:0:0:0:0:0:1')).toBe('2001:db8::1');
  });

  it('round-trips bytes', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
    );
    fc.assert(
      fc.property(bytes, (value) => {
        expect(parseAddress(formatAddress(value))).toEqual(value);
      }),
    );
  });

  it('reads the same IPv4 addresses as ipaddr.js, but for leading zeros', () => {
    const parts = fc.oneof(
      fc.integer({ min: 0, max: 300 }).map(String),
      fc.string({ maxLength: 2 }),
      fc.constant('00'),
    );
    const texts = fc.oneof(
      fc.array(parts, { minLength: 3, maxLength: 5 }).map((list) => list.join('.')),
      fc.array(fc.constantFrom('0', '1', '2', '9', '.'), { maxLength: 16 }).map((list) => list.join('')),
    );
    fc.assert(
      fc.property(texts, (text) => {
        const valid = ipaddr.IPv4.isValidFourPartDecimal(text) && !/(^|\.)0\d/.test(text);
        expect(familyOf(text)).toBe(valid ? 'IPv4' : undefined);
        if (valid) expect([...parseAddress(text)!]).toEqual(ipaddr.parse(text).toByteArray());
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['10.0.0.1', 80, '10.0.0.1:80'],
    ['fd00::1', 80, '[fd00::1]:80'],
  ])('joins and splits %s and %i', (host, port, text) => {
    expect(joinHostPort(host, port)).toBe(text);
    expect(splitHostPort(text)).toEqual({ host, port });
  });

  it.each(['a:65536', 'a', '[::1]', '::1:80'])('does not split %j', (text) =>
    expect(splitHostPort(text)).toBeUndefined(),
  );
});

describe('CIDRs', () => {
  it.each([
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['2001:db8::5/32', '2001:db8::/32'],
    ['10.0.0.0/33', undefined],
    ['10.0.0.0', undefined],
    ['10.0.0.0/-1', undefined],
  ])('%s parses to %s', (text, expected) => {
    const cidr = parseCidr(text);
    expect(cidr && formatCidr(cidr)).toBe(expected);
  });

  it.each([
    ['10.1.2.3', '10.1.2.3/32'],
    ['2001:DB8::5', '2001:db8::5/128'],
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['10.1', undefined],
    ['fe80::1%eth0', undefined],
    ['*', undefined],
    ['', undefined],
  ])('%s is the network %s', (text, expected) => {
    const cidr = parseCidrOrAddress(text);
    expect(cidr && formatCidr(cidr)).toBe(expected);
  });

  it.each([
    ['10.0.0.0/9', '10.127.0.1', true],
    ['10.0.0.0/9', '10.128.0.1', false],
    ['0.0.0.0/0', '1.2.3.4', true],
    ['0.0.0.0/0', '::1', false],
    ['::/0', 'fd00::1', true],
  ])('%s contains %s: %s', (cidr, address, expected) =>
    expect(cidrContains(parseCidr(cidr)!, address)).toBe(expected),
  );

  it.each([
    ['10.96.0.0/12', 1n, '10.96.0.1'],
    ['10.96.0.0/12', 65_536n, '10.97.0.0'],
    ['10.0.0.0/24', 256n, undefined],
    ['fd00::/112', 10n, 'fd00::a'],
  ])('%s at %i is %s', (cidr, offset, expected) =>
    expect(cidrAddressAt(parseCidr(cidr)!, offset)).toBe(expected),
  );
});
