import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Claims } from '../../../proxy/ipvs/claims.ts';
import { growingSlices } from '../../../proxy/kernel/growing-slices.ts';
import { parseFlows } from '../../../src/net/conntrack.ts';

test('slices hold every item once, in order, each slice twice as long as the one before', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer(), { maxLength: 200 }),
      fc.integer({ min: 1, max: 20 }),
      (items, first) => {
        const slices = growingSlices(items, first);
        expect(slices.flat()).toEqual(items);
        slices.slice(0, -1).forEach((slice, i) => expect(slice).toHaveLength(first * 2 ** i));
      },
    ),
  );
});

test('claims hold the first claim of a key, and tell exactly what changed since they were asked', () => {
  const step = fc.record({
    claim: fc.boolean(),
    key: fc.constantFrom('a', 'b'),
    value: fc.constantFrom(1, 2, 3),
    take: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const claims = new Claims<number>();
      const model = new Map<string, number[]>();
      const seen = new Map<string, number>();
      for (const { claim, key, value, take } of steps) {
        const values = model.get(key) ?? [];
        if (claim) values.push(value);
        else if (values.includes(value)) values.splice(values.indexOf(value), 1);
        model.set(key, values);
        if (claim) claims.claim(key, value);
        else claims.release(key, value);
        expect(claims.get(key)).toBe(values[0]);
        if (!take) continue;
        const { removed, added } = claims.take();
        for (const each of removed.keys()) seen.delete(each);
        for (const [each, now] of added) seen.set(each, now);
        const held = Array.from(model, ([each, all]) => [each, all[0]] as const);
        expect(seen).toEqual(new Map(held.filter(([, now]) => now !== undefined)));
      }
    }),
  );
});

test('what tools print is read without throwing, whatever it is', () => {
  const words = fc.constantFrom('udp', '17', 'src=1.2.3.4', 'dst=::1', 'sport=5', 'dport=', '\n');
  fc.assert(
    fc.property(fc.array(fc.oneof(words, fc.string()), { maxLength: 30 }), (parts) => {
      const text = parts.join(' ');
      expect(parseFlows(text).every(({ sourcePort }) => Number.isInteger(sourcePort))).toBe(true);
    }),
  );
});
