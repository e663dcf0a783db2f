import { expect, test } from 'vitest';
import { LatencyHistogram } from './latency-histogram.ts';
import { soak } from './soak.ts';

const SECONDS = 12;
const RATE = 50;
/** What a start leaves to be loaded and compiled; a leak a connection is more. */
const GROWTH_BYTES_MAX = 48 * 2 ** 20;

test(
  'under load and faults every question is answered, no descriptor stays, memory settles',
  { timeout: 300_000 },
  async () => {
    const options = { seconds: SECONDS, rate: RATE, faultRate: 20, samples: 6 };
    const { samples, sent, failures, output } = await soak(options, () => {});
    expect(sent).toEqual({ dns: SECONDS * RATE, ingress: SECONDS * RATE, proxy: SECONDS * RATE });
    const none = { lost: 0, wrong: 0 };
    expect(failures).toEqual({ dns: none, ingress: none, proxy: none });
    expect(output).not.toMatch(/started anew|stuck|failed/);
    for (const name of Object.keys(sent)) {
      const own = samples.filter((sample) => sample.name === name);
      const [first, last] = [own[1]!, own.at(-1)!];
      // connections of this moment, and none of those that were cut
      expect(last.descriptors - first.descriptors, name).toBeLessThan(20);
      expect(last.residentBytes - first.residentBytes, name).toBeLessThan(GROWTH_BYTES_MAX);
    }
  },
);

test('latencies are told to a twentieth', () => {
  const latency = new LatencyHistogram();
  expect(latency.quantile(0.5)).toBeNaN();
  for (let ms = 1; ms <= 1_000; ms++) latency.add(ms);
  for (const share of [0.01, 0.5, 0.9, 0.99, 1]) {
    expect(latency.quantile(share)).toBeGreaterThanOrEqual(share * 1_000);
    expect(latency.quantile(share)).toBeLessThan(share * 1_000 * 1.06);
  }
  latency.reset();
  expect(latency.count).toBe(0);
});
