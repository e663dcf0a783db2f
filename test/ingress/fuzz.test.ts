import { expect, test } from 'vitest';
import { fuzzIngress } from './support/fuzz-ingress.ts';

test('damaged connections neither smuggle nor harm', { timeout: 120_000 }, async () => {
  const { reached, answered } = await fuzzIngress(1_000, 20_261_121);
  expect(reached).toBeGreaterThan(200);
  expect(answered).toBeGreaterThan(500);
});
