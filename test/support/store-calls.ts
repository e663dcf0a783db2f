import { expect } from 'vitest';
import type { Store, StoreEvent, WriteResult } from '../../src/store/store.ts';

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const textOf = (value: Uint8Array | undefined): string | undefined =>
  value && new TextDecoder().decode(value);

export async function accepted(write: Promise<WriteResult>): Promise<Extract<WriteResult, { ok: true }>> {
  const result = await write;
  expect(result.ok).toBe(true);
  return result as Extract<WriteResult, { ok: true }>;
}

/** The first `count` events after the revision; fewer when the signal aborts. */
export async function collect(
  store: Store,
  prefix: string,
  fromRevision: number,
  count: number,
  signal: AbortSignal = AbortSignal.timeout(25_000),
): Promise<StoreEvent[]> {
  const events: StoreEvent[] = [];
  let last = fromRevision;
  for await (const batch of store.watch(prefix, fromRevision, signal)) {
    for (const event of batch.events) expect(event.revision).toBeLessThanOrEqual(batch.revision);
    expect(batch.revision).toBeGreaterThanOrEqual(last);
    last = batch.revision;
    events.push(...batch.events);
    if (events.length >= count) break;
  }
  return events;
}

export function describeEvent(event: StoreEvent): string {
  const was = ` was ${textOf(event.previous?.value) ?? 'nothing'}`;
  if (event.type === 'delete') return `${event.key} deleted${was}`;
  return `${event.entry.key}=${textOf(event.entry.value)}${was}`;
}

export function keysOf(result: { entries: readonly { key: string }[] }): string[] {
  return result.entries.map((entry) => entry.key);
}

export async function expectFault(promise: Promise<unknown>, code: string): Promise<void> {
  const error = await promise.then(
    (value) => new Error(`resolved with ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ code });
}
