import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { frame, FrameReader } from '../../../dns/server/framing.ts';
import { decodeMessage } from '../../../dns/wire/decode.ts';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import { fuzzChain } from '../support/fuzz-chain.ts';
import { fuzzPacket, randomFrom } from '../support/fuzz-packets.ts';
import { fuzzServer } from '../support/fuzz-server.ts';

describe('damaged packets', () => {
  it('get one right answer or none', async () => {
    const { answered, fast } = await fuzzServer(20_000, 7);
    expect(answered).toBeGreaterThan(10_000);
    expect(fast).toBeGreaterThan(1000);
  });

  it('get one right answer or none from a chain of many plugins', async () => {
    const { answered } = await fuzzChain(6000, 7);
    expect(answered).toBeGreaterThan(4000);
  });

  it('decode to a value or a reason, and what decodes can be sent again', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const decoded = decodeMessage(fuzzPacket(randomFrom(seed)));
        if (decoded.ok) {
          const again = decodeMessage(encodeMessage(decoded.message));
          expect(again.ok && again.message).toEqual(decoded.message);
        } else expect(decoded.reason).not.toBe('');
      }),
    );
  });

  it('of any bytes never throw', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => void decodeMessage(bytes)));
  });
});

describe('names made of pointers', () => {
  const head = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
  it.each([
    ['to itself', [0xc0, 12]],
    ['to each other', [0xc0, 14, 0xc0, 12]],
    ['forward', [0xc0, 40]],
    ['beyond the end', [0xff, 0xff]],
    ['through a label into itself', [1, 0x61, 0xc0, 12]],
  ])('%s are refused', (_what, name) => {
    const decoded = decodeMessage(Uint8Array.from([...head, ...name, 0, 1, 0, 1]));
    expect(decoded.ok).toBe(false);
  });
});

describe('a byte stream', () => {
  it('gives the same messages however it is cut', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 });
    fc.assert(
      fc.property(messages, fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1 }), (sent, cuts) => {
        const bytes = Buffer.concat(sent.map(frame));
        const reader = new FrameReader();
        const got: Uint8Array[] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = i < 2 * bytes.length ? cuts[i % cuts.length]! : bytes.length;
          got.push(...reader.push(Uint8Array.from(bytes.subarray(at, at + size))));
          at += size;
        }
        expect(got).toEqual(sent);
      }),
    );
  });
});
