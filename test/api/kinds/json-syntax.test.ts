import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonSyntaxError } from '../../../src/api/kinds/decode/json-syntax.ts';

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('what is wrong with a text that is no JSON', () => {
  it('is nothing for every text that is JSON', () => {
    fc.assert(fc.property(fc.json(), (text) => jsonSyntaxError(text) === undefined));
  });

  it('is something for every other text', () => {
    const parts = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"',
      '\\\\',
      '\\u00',
      '1',
      '0',
      '-',
      '.',
      'e',
      '+',
      'true',
      'nul',
      'l',
      ' ',
      '\n',
      'é',
    ];
    const text = fc.array(fc.constantFrom(...parts), { maxLength: 12 }).map((all) => all.join(''));
    fc.assert(
      fc.property(text, (one) => {
        expect([one, jsonSyntaxError(one) === undefined]).toEqual([one, isJson(one)]);
      }),
      { numRuns: 2000 },
    );
  });
});
