import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import { queryMessage, replyTo, type Message } from '../../../dns/wire/message.ts';
import {
  findTsig,
  parseTsigAlgorithm,
  signMessage,
  TSIG_ERROR,
  tsigBytes,
  verifyTsig,
  type TsigKey,
} from '../../../dns/wire/tsig.ts';
import { TsigExchange } from '../../../dns/zone/tsig-exchange.ts';
import { decoded, questionOf } from '../support/server.ts';

const key: TsigKey = {
  name: 'key.example.',
  algorithm: 'hmac-sha256.',
  secret: Buffer.from('a secret of thirty-two octets...'),
};
const NOW = 1_800_000_000;
const question = (): Uint8Array => encodeMessage(questionOf('www.example.org. A'));

function verified(bytes: Uint8Array, by = key, timeSeconds = NOW): number | string {
  const found = findTsig(bytes, decoded(bytes));
  return found.kind === 'signed' ? verifyTsig(by, found, { timeSeconds }) : found.kind;
}

describe('TSIG', () => {
  it('is put behind the message and found there', () => {
    const signed = signMessage(key, question(), { timeSeconds: NOW });
    expect(verified(signed.bytes)).toBe(TSIG_ERROR.NONE);
    expect(signed.bytes.length - question().length).toBeLessThanOrEqual(tsigBytes(key));
    expect(decoded(signed.bytes).additionals).toMatchObject([
      { type: 'TSIG', name: 'key.example.', data: { originalId: 4711, fudge: 300, error: 0 } },
    ]);
  });

  it('covers the question as its asker numbered it', () => {
    const signed = signMessage(key, question(), { timeSeconds: NOW });
    const renumbered = Uint8Array.from(signed.bytes);
    renumbered.set([1, 2], 0);
    expect(verified(renumbered)).toBe(TSIG_ERROR.NONE);
  });

  it.each<[string, TsigKey, number, number]>([
    ['another secret', { ...key, secret: Buffer.from('x') }, NOW, TSIG_ERROR.BADSIG],
    ['another name', { ...key, name: 'other.' }, NOW, TSIG_ERROR.BADKEY],
    ['another algorithm', { ...key, algorithm: 'hmac-sha512.' }, NOW, TSIG_ERROR.BADKEY],
    ['a clock 300 seconds off', key, NOW + 300, TSIG_ERROR.NONE],
    ['a clock 301 seconds off', key, NOW - 301, TSIG_ERROR.BADTIME],
  ])('is judged with %s', (_what, by, time, error) =>
    expect(verified(signMessage(key, question(), { timeSeconds: NOW }).bytes, by, time)).toBe(error),
  );

  it('must be the last record, and one', () => {
    const once = signMessage(key, question(), { timeSeconds: NOW }).bytes;
    const twice = signMessage(key, once, { timeSeconds: NOW }).bytes;
    expect(verified(twice)).toBe('malformed');
    expect(verified(question())).toBe('none');
  });

  it('does not survive the change of any octet', () => {
    const { bytes } = signMessage(key, question(), { timeSeconds: NOW });
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: bytes.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, change) => {
          const damaged = Uint8Array.from(bytes);
          damaged[at]! ^= change;
          let judged: number | string;
          try {
            judged = verified(damaged);
          } catch {
            return; // it does not even decode
          }
          // The case of names is not covered, as names are compared without it.
          const folded = Buffer.from(damaged).toString('latin1').toLowerCase();
          if (folded === Buffer.from(bytes).toString('latin1').toLowerCase()) return;
          expect(judged).not.toBe(TSIG_ERROR.NONE);
        },
      ),
    );
  });

  it.each([
    ['hmac-sha256', 'hmac-sha256.'],
    ['HMAC-SHA512.', 'hmac-sha512.'],
    ['hmac-md5', 'hmac-md5.sig-alg.reg.int.'],
    ['sha256', undefined],
    ['toString', undefined],
  ])('knows the algorithm %s as %s', (text, algorithm) => expect(parseTsigAlgorithm(text)).toBe(algorithm));
});

describe('a signed answer of several messages', () => {
  const asked = queryMessage({ name: 'z.', type: 'AXFR', class: 'IN' }, { id: 7 });
  const parts = (count: number): Message[] => Array.from({ length: count }, () => replyTo(asked));

  /** What the asker makes of an answer in which the messages named by `signed` are signed. */
  function outcome(count: number, signed: readonly number[]): string | boolean {
    const exchange = new TsigExchange(key, encodeMessage(asked), () => NOW);
    const found = findTsig(exchange.question, decoded(exchange.question));
    let priorMac = found.kind === 'signed' ? found.record.data.mac : undefined;
    let pending: Uint8Array[] = [];
    for (const [i, message] of parts(count).entries()) {
      const bytes = encodeMessage(message);
      pending.push(bytes);
      let sent = bytes;
      if (signed.includes(i)) {
        const extent = i === 0 ? 'full' : 'timers';
        const whole = Uint8Array.from(Buffer.concat(pending));
        const { mac } = signMessage(key, whole, { timeSeconds: NOW, priorMac, extent });
        // The signature covers all since the last one, but stands behind this message alone.
        sent = signMessage(key, bytes, { timeSeconds: NOW, priorMac, extent }).bytes;
        sent.set(mac, sent.length - 6 - mac.length);
        priorMac = mac;
        pending = [];
      }
      const doubt = exchange.check(sent, decoded(sent));
      if (doubt !== undefined) return doubt;
    }
    return exchange.complete;
  }

  it.each<[string, number, readonly number[], string | boolean]>([
    ['every message signed', 3, [0, 1, 2], true],
    ['the first and the last signed', 5, [0, 4], true],
    ['the last not signed', 3, [0, 1], false],
    ['the first not signed', 2, [1], 'the answer is not signed'],
    ['a hundred in a row not signed', 102, [0, 101], 'too much of the answer is not signed'],
    ['99 in a row not signed', 101, [0, 100], true],
  ])('with %s', (_what, count, signed, wanted) => expect(outcome(count, signed)).toBe(wanted));
});
