import { describe, expect, it } from 'vitest';
import { CookieMaker } from '../../../dns/server/cookie-maker.ts';
import { sipHash24 } from '../../../dns/server/siphash.ts';
import { parseAddress } from '../../../src/net/ip.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

describe('SipHash-2-4', () => {
  // The reference implementation's vectors, and the paper's example of 15 bytes.
  it.each([
    [0, '310e0edd47db6f72'],
    [7, '37d1018bf50002ab'],
    [8, '6224939a79f5f593'],
    [15, 'e545be4961ca29a1'],
  ])('of %i bytes', (length, expected) => {
    const key = Uint8Array.from({ length: 16 }, (_, i) => i);
    const input = Uint8Array.from({ length: 64 }, (_, i) => i);
    const out = new Uint8Array(8);
    sipHash24(key, input, length, out, 0);
    expect(Buffer.from(out).toString('hex')).toBe(expected);
  });
});

/** RFC 9018 appendix A: secret, client, time of the answer, what was sent, what comes back. */
const VECTORS = [
  {
    what: 'a new cookie',
    secret: 'e5e973e5a6b2a43f48e7dc849e37bfcf',
    client: '198.51.100.100',
    seconds: 1_559_731_985,
    sent: '2464c4abcf10c957',
    back: '2464c4abcf10c957010000005cf79f111f8130c3eee29480',
    good: false,
  },
  {
    what: 'a renewed one',
    secret: 'e5e973e5a6b2a43f48e7dc849e37bfcf',
    client: '198.51.100.100',
    seconds: 1_559_734_385,
    sent: '2464c4abcf10c957010000005cf79f111f8130c3eee29480',
    back: '2464c4abcf10c957010000005cf7a871d4a564a1442aca77',
    good: true,
  },
  {
    what: 'a young one again',
    secret: 'e5e973e5a6b2a43f48e7dc849e37bfcf',
    client: '198.51.100.100',
    seconds: 1_559_731_995,
    sent: '2464c4abcf10c957010000005cf79f111f8130c3eee29480',
    back: '2464c4abcf10c957010000005cf79f111f8130c3eee29480',
    good: true,
  },
  {
    what: 'one of another secret over IPv6',
    secret: '445536bcd2513298075a5d379663c962',
    client: '2001:db8:220:1:59de:d0f4:8769:82b8',
    seconds: 1_559_741_961,
    sent: '22681ab97d52c298010000005cf7c57926556bd0934c72f8',
    back: '22681ab97d52c298010000005cf7c609a6bb79d16625507a',
    good: false,
  },
] as const;

describe('server cookies', () => {
  it.each(VECTORS)('answer $what', ({ secret, client, seconds, sent, back, good }) => {
    const clock = new FakeClock(seconds * 1000);
    const maker = new CookieMaker({ clock }, hex(secret));
    const address = parseAddress(client)!;
    const out = new Uint8Array(32);
    const asked = Uint8Array.of(0, 0, ...hex(sent));
    expect(maker.answer(asked, 2, asked.length - 2, address, address.length, out, 4)).toBe(good);
    expect(Buffer.from(out.subarray(4, 28)).toString('hex')).toBe(back);
  });
});
