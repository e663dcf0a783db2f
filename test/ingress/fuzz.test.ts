import { expect, test } from 'vitest';
import { fuzzBackend } from './support/fuzz-backend.ts';
import { fuzzIngress } from './support/fuzz-ingress.ts';

test('damaged connections neither smuggle nor harm', async () => {
  const { reached, answered } = await fuzzIngress(1_000, 20_261_121);
  expect(reached).toBeGreaterThan(200);
  expect(answered).toBeGreaterThan(500);
});

test('a backend that lies at every byte harms nobody else', async () => {
  const { asked, whole, replaced, cut } = await fuzzBackend(5);
  expect(whole + replaced + cut).toBe(asked);
  expect(Math.min(whole, replaced, cut)).toBeGreaterThan(50);
});
