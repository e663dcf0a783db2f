import { expect } from 'vitest';
import type { StoreEvent } from '../../src/store/store.ts';
import { checkLinearizable, registerModel } from './linearizability.ts';
import type { RegisterHistory } from './register-clients.ts';

/** Each key's history could have come from one copy. */
export function checkAll(history: RegisterHistory): void {
  let total = 0;
  for (const [key, operations] of history) {
    total += operations.length;
    expect(checkLinearizable(registerModel, operations), key).toEqual({ ok: true });
  }
  expect(total).toBeGreaterThan(100);
}

/** The stream is in order, without duplicate, each event follows the one before, and every acknowledged write is in it. */
export function checkStream(history: RegisterHistory, events: readonly StoreEvent[]): void {
  const byRevision = new Map(events.map((event) => [event.revision, event]));
  expect(byRevision.size).toBe(events.length);
  expect(events.map((event) => event.revision)).toEqual([...byRevision.keys()].sort((a, b) => a - b));
  const current = new Map<string, number>();
  for (const event of events) {
    const key = event.type === 'put' ? event.entry.key : event.key;
    expect(event.previous?.modRevision).toBe(current.get(key));
    if (event.type === 'put') current.set(key, event.revision);
    else current.delete(key);
  }
  for (const [key, operations] of history) {
    for (const { input, output } of operations) {
      if (input.kind !== 'write' || !output?.ok) continue;
      const event = byRevision.get(output.revision);
      expect(event?.type === 'put' && [event.entry.key, Buffer.from(event.entry.value).toString()]).toEqual([
        key,
        input.value,
      ]);
    }
  }
}
