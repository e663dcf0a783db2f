import { describe, expect, it } from 'vitest';
import { BodyPool } from '../../../src/api/server/http/body-pool.ts';
import { BODY_POOL_MAX_BYTES } from '../../../src/api/server/limits.ts';

const MIB = 1024 * 1024;

describe('the pool of long bodies', () => {
  it('gives memory out again only when it came back', () => {
    const pool = new BodyPool();
    const first = pool.take(MIB);
    const second = pool.take(MIB);
    expect(second.buffer).not.toBe(first.buffer);
    first.release();
    expect(pool.take(MIB - 5).buffer).toBe(first.buffer);
    expect(pool.take(MIB).buffer).not.toBe(second.buffer);
  });

  it('takes memory back once, however often it is told', () => {
    const pool = new BodyPool();
    const taken = pool.take(MIB);
    taken.release();
    taken.release();
    expect(pool.take(MIB).buffer).toBe(taken.buffer);
    expect(pool.take(MIB).buffer).not.toBe(taken.buffer);
  });

  it('keeps no more than its limit', () => {
    const pool = new BodyPool();
    const taken = Array.from({ length: BODY_POOL_MAX_BYTES / MIB + 2 }, () => pool.take(MIB));
    for (const one of taken) one.release();
    const kept = new Set(taken.slice(0, BODY_POOL_MAX_BYTES / MIB).map(({ buffer }) => buffer));
    const again = taken.map(() => pool.take(MIB).buffer);
    expect(again.filter((buffer) => kept.has(buffer))).toHaveLength(kept.size);
    expect(again.filter((buffer) => taken.some((one) => one.buffer === buffer))).toHaveLength(kept.size);
  });
});
