import { describe, expect, it } from 'vitest';
import { TLS_HANDSHAKES, TLS_STALL_MS } from '../../../dns/limits.ts';
import { stalledOf } from '../../../dns/server/native/stalled.ts';

const NOW_MS = 1_000_000;
const STALLED = { waitsSinceMs: NOW_MS - TLS_STALL_MS };
const FRESH = { waitsSinceMs: NOW_MS - TLS_STALL_MS + 1 };
/** It waits for us. */
const QUEUED = { waitsSinceMs: Infinity };

const many = (count: number, like: { waitsSinceMs: number }): { waitsSinceMs: number }[] =>
  Array.from({ length: count }, () => ({ ...like }));

describe('the handshake that makes room for a further one', () => {
  it.each([
    ['nobody, below the limit', many(TLS_HANDSHAKES - 1, STALLED), -1],
    ['the oldest that stalls', many(TLS_HANDSHAKES, STALLED), 0],
    ['not who came a moment ago', many(TLS_HANDSHAKES, FRESH), -1],
    ['not who waits for us', many(TLS_HANDSHAKES, QUEUED), -1],
    ['one behind those', [...many(20, QUEUED), ...many(20, FRESH), ...many(TLS_HANDSHAKES, STALLED)], 40],
    ['nobody far behind', [...many(1000, QUEUED), ...many(TLS_HANDSHAKES, STALLED)], -1],
  ])('%s', (_what, handshakes, chosen) => {
    const found = stalledOf(new Set(handshakes), NOW_MS);
    expect(found ? handshakes.indexOf(found) : -1).toBe(chosen);
  });
});
