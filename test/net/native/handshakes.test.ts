import { describe, expect, it } from 'vitest';
import { HANDSHAKE_STALL_MS, HANDSHAKES_MAX, stalledOf } from '../../../src/net/native/handshakes.ts';

const NOW_MS = 1_000_000;
const STALLED = { waitsSinceMs: NOW_MS - HANDSHAKE_STALL_MS };
const FRESH = { waitsSinceMs: NOW_MS - HANDSHAKE_STALL_MS + 1 };
/** It waits for us. */
const QUEUED = { waitsSinceMs: Infinity };

const many = (count: number, like: { waitsSinceMs: number }): { waitsSinceMs: number }[] =>
  Array.from({ length: count }, () => ({ ...like }));

describe('the handshake that makes room for a further one', () => {
  it.each([
    ['nobody, below the limit', many(HANDSHAKES_MAX - 1, STALLED), -1],
    ['the oldest that stalls', many(HANDSHAKES_MAX, STALLED), 0],
    ['not who came a moment ago', many(HANDSHAKES_MAX, FRESH), -1],
    ['not who waits for us', many(HANDSHAKES_MAX, QUEUED), -1],
    ['one behind those', [...many(20, QUEUED), ...many(20, FRESH), ...many(HANDSHAKES_MAX, STALLED)], 40],
    ['nobody far behind', [...many(1000, QUEUED), ...many(HANDSHAKES_MAX, STALLED)], -1],
  ])('%s', (_what, handshakes, chosen) => {
    const found = stalledOf(new Set(handshakes), NOW_MS);
    expect(found ? handshakes.indexOf(found) : -1).toBe(chosen);
  });
});
