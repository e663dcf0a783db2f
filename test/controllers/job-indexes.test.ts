import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addIndexes,
  countIndexes,
  formatIndexes,
  hasIndex,
  parseIndexes,
} from '../../src/controllers/batch/job-indexes.ts';

const LIMIT = 60;
const sets = fc.uniqueArray(fc.integer({ min: 0, max: LIMIT - 1 }));

describe('job indexes', () => {
  it.each([
    ['', ''],
    ['3', '3'],
    ['0,1', '0,1'],
    ['0-2,3', '0-3'],
    ['5,1-2,x,9-', '1,2,5'],
    ['58-70', '58,59'],
  ])('reads %j as %j', (text, expected) => {
    expect(formatIndexes(parseIndexes(text, LIMIT))).toBe(expected);
  });

  it('is a set: what was added is in it, in any order, and survives its text', () => {
    fc.assert(
      fc.property(sets, sets, (first, second) => {
        const made = addIndexes(addIndexes([], first), second);
        const expected = new Set([...first, ...second]);
        const read = parseIndexes(formatIndexes(made), LIMIT);
        expect(read).toEqual(made);
        expect(countIndexes(made)).toBe(expected.size);
        for (let index = -1; index <= LIMIT; index++) expect(hasIndex(made, index)).toBe(expected.has(index));
      }),
    );
  });
});
