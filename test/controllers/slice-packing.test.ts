import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EndpointSlice, SliceEndpoint } from '../../src/api/kinds/endpoint-slice.ts';
import type { DesiredSet } from '../../endpoints/slices/desired.ts';
import { planSlices, type SlicePlan, type SliceTemplate } from '../../endpoints/slices/packing.ts';

const template: SliceTemplate = {
  namespace: 'default',
  namePrefix: 'web',
  labels: { 'kubernetes.io/service-name': 'web' },
  ownerReferences: [],
  families: ['IPv4'],
  maxEndpoints: 5,
};

const endpoint = (number: number, ready = true): SliceEndpoint => ({
  addresses: [`10.0.0.${number}`],
  conditions: { ready },
  targetRef: { kind: 'Pod', name: `p${number}`, uid: `u${number}` },
});

const set = (endpoints: readonly SliceEndpoint[], port = 80): DesiredSet => ({
  addressType: 'IPv4',
  ports: [{ name: '', port, protocol: 'TCP' }],
  endpoints,
});

let serial = 0;

/** What a server would hold after the plan. */
function carryOut(existing: readonly EndpointSlice[], plan: SlicePlan): EndpointSlice[] {
  const gone = new Set(plan.remove.map(({ metadata }) => metadata.name));
  const updated = new Map(plan.update.map((slice) => [slice.metadata.name, slice]));
  const kept = existing.filter(({ metadata }) => !gone.has(metadata.name));
  return [
    ...kept.map((slice) => updated.get(slice.metadata.name) ?? slice),
    ...plan.create.map((slice) => ({ ...slice, metadata: { ...slice.metadata, name: `web-${++serial}` } })),
  ];
}

const writes = ({ create, update, remove }: SlicePlan): number =>
  create.length + update.length + remove.length;
const addresses = (slices: readonly EndpointSlice[]): Set<string | undefined> =>
  new Set(slices.flatMap(({ endpoints }) => (endpoints ?? []).map((one) => one.addresses[0])));
const count = (slices: readonly EndpointSlice[]): number =>
  sizes(slices).reduce((sum, size) => sum + size, 0);
const sizes = (slices: readonly EndpointSlice[]): number[] =>
  slices.map(({ endpoints }) => endpoints?.length ?? 0);
const range = (from: number, to: number): SliceEndpoint[] =>
  Array.from({ length: to - from }, (_, i) => endpoint(from + i));

describe('slice packing', () => {
  it('keeps one placeholder for a service without endpoints', () => {
    const first = carryOut([], planSlices([], [], template));
    expect(sizes(first)).toEqual([0]);
    expect(writes(planSlices(first, [], template))).toBe(0);
  });

  it('updates in place, and fills the slice that changes anyway', () => {
    const start = carryOut([], planSlices([], [set(range(0, 9))], template));
    expect(sizes(start)).toEqual([5, 4]);
    // One of the first slice goes, one comes: it takes the place, the second slice is not written.
    const plan = planSlices(start, [set([...range(1, 9), endpoint(50)])], template);
    expect([plan.create.length, plan.update.length, plan.remove.length]).toEqual([0, 1, 0]);
  });

  it('puts additions into the one unchanged slice they fit best', () => {
    const start = carryOut([], planSlices([], [set(range(0, 9))], template));
    const plan = planSlices(start, [set(range(0, 10))], template);
    expect([plan.create.length, plan.update.length]).toEqual([0, 1]);
    expect(sizes(carryOut(start, plan))).toEqual([5, 5]);
  });

  it('turns a creation and a removal into one update when the ports change', () => {
    const start = carryOut([], planSlices([], [set(range(0, 3), 80)], template));
    const plan = planSlices(start, [set(range(0, 3), 81)], template);
    expect([plan.create.length, plan.update.length, plan.remove.length]).toEqual([0, 1, 0]);
  });

  it('removes slices of a family the service no longer has', () => {
    const start = carryOut([], planSlices([], [set(range(0, 3))], template));
    expect(planSlices(start, [], { ...template, families: [] }).remove).toHaveLength(1);
  });

  it('holds exactly what is desired, never over the maximum, and then has nothing left to do', () => {
    const step = fc.uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 30 });
    fc.assert(
      fc.property(fc.array(fc.tuple(step, fc.boolean()), { minLength: 1, maxLength: 8 }), (steps) => {
        let slices: EndpointSlice[] = [];
        for (const [numbers, ready] of steps) {
          const desired = numbers.length > 0 ? [set(numbers.map((number) => endpoint(number, ready)))] : [];
          const plan = planSlices(slices, desired, template);
          const untouched = slices.length - plan.update.length - plan.remove.length;
          slices = carryOut(slices, plan);
          expect(untouched).toBeGreaterThanOrEqual(0);
          expect(Math.max(...sizes(slices))).toBeLessThanOrEqual(5);
          expect(addresses(slices)).toEqual(new Set(numbers.map((number) => `10.0.0.${number}`)));
          expect(count(slices)).toBe(numbers.length);
          expect(slices.length).toBeGreaterThan(0);
          expect(plan.create.length === 0 || plan.remove.length === 0).toBe(true);
          expect(writes(planSlices(slices, desired, template))).toBe(0);
        }
      }),
    );
  });
});
