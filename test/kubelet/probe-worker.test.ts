import { expect, it } from 'vitest';
import type { Probe } from '../../src/api/kinds/pod.ts';
import { type ProbeKind, ProbeWorker } from '../../src/kubelet/probes/probe-worker.ts';
import { Slots } from '../../src/kubelet/probes/slots.ts';
import { FakeClock } from '../support/fake-clock.ts';

function bench(kind: ProbeKind, probe: Probe, healthyAt: (ms: number) => boolean) {
  const clock = new FakeClock();
  const seen = { probes: [] as number[], states: [] as [number, boolean][], failures: 0 };
  const worker = new ProbeWorker(
    {
      clock,
      slots: new Slots(1),
      check: () => {
        seen.probes.push(clock.monotonicMs());
        return Promise.resolve(healthyAt(clock.monotonicMs()) ? undefined : 'no');
      },
      onState: (healthy) => seen.states.push([clock.monotonicMs(), healthy]),
      onFailure: () => void seen.failures++,
    },
    { kind, probe, delayMs: (probe.initialDelaySeconds ?? 0) * 1000 },
  );
  return { clock, seen, worker };
}

it('waits its delay, then probes liveness at its period alone', async () => {
  const { clock, seen, worker } = bench(
    'liveness',
    { initialDelaySeconds: 5, periodSeconds: 10 },
    () => true,
  );
  await clock.advance(26_000);
  expect(seen.probes).toEqual([5_000, 15_000, 25_000]);
  expect(seen.states).toEqual([[5_000, true]]);
  worker[Symbol.dispose]();
  await clock.advance(60_000);
  expect(seen.probes).toHaveLength(3);
});

it('fails after failureThreshold failures in a row', async () => {
  const probe = { periodSeconds: 10, failureThreshold: 3 };
  const { clock, seen } = bench('liveness', probe, (ms) => ms < 10_000);
  await clock.advance(31_000);
  expect(seen.states).toEqual([
    [0, true],
    [30_000, false],
  ]);
  expect(seen.failures).toBe(3);
});

it('finds readiness soon, and counts eager probes only when they succeed', async () => {
  const { clock, seen } = bench('readiness', { periodSeconds: 10 }, (ms) => ms >= 300);
  await clock.advance(1_000);
  expect(seen.probes).toEqual([0, 50, 150, 350]);
  expect(seen.states).toEqual([[350, true]]);
  expect(seen.failures).toBe(1);
  await clock.advance(10_000);
  expect(seen.probes.slice(4)).toEqual([10_000]);
});

it('counts a startup probe at its own period however eager it is', async () => {
  const { clock, seen } = bench('startup', { periodSeconds: 10, failureThreshold: 2 }, () => false);
  await clock.advance(9_999);
  expect(seen.states).toEqual([]);
  expect(seen.probes.length).toBeGreaterThan(8);
  await clock.advance(2);
  expect(seen.states).toEqual([[10_000, false]]);
});
