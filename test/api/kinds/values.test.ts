import fc from 'fast-check';
import { parseLabelSelector } from '../../../src/api/kinds/label-selector.ts';
import { describe, expect, test } from 'vitest';
import {
  causesOf,
  duplicate,
  forbidden,
  formatFieldError,
  invalid,
  invalidMessage,
  notFound,
  notSupported,
  required,
  tooLong,
  tooMany,
} from '../../../src/api/kinds/field-error.ts';
import { scaledValue } from '../../../src/api/kinds/int-or-string.ts';
import {
  canonicalQuantity,
  compareQuantities,
  formatQuantity,
  parseQuantity,
  quantityMillis,
  quantityUnits,
} from '../../../src/api/kinds/quantity.ts';
import {
  formatLabelQuery,
  labelQueryOf,
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  unknownField,
} from '../../../src/api/kinds/selector.ts';
import { humanDuration } from '../../../src/api/kinds/tables/duration.ts';

describe('quantities', () => {
  test.each([
    ['1', '1'],
    [1, '1'],
    ['0.5', '500m'],
    ['1000m', '1'],
    ['1500m', '1500m'],
    ['1024Mi', '1Gi'],
    ['1536Mi', '1536Mi'],
    ['1Ki', '1Ki'],
    ['512', '512'],
    ['1000k', '1M'],
    ['1e3', '1e3'],
    ['12e6', '12e6'],
    ['0.1Ki', '102400m'],
    ['1.5Gi', '1536Mi'],
    ['-5', '-5'],
    ['+5', '5'],
    ['.5', '500m'],
    ['5.', '5'],
    ['0', '0'],
    ['0Gi', '0'],
    ['1n', '1n'],
    ['0.1n', '1n'],
    ['100000000000000000000000000000E', '9223372036854775807'],
    ['1e999999', '9223372036854775807e0'],
  ])('%s is %s', (text, want) => {
    expect(canonicalQuantity(text)).toBe(want.replace(/e0$/, ''));
  });

  test.each(['', 'x', '1 ', '1.1.1', '1Kib', '--1', '1e', 'Ki', '1mm', null, {}, 'NaN', '1'.repeat(100)])(
    '%j is none',
    (text) => {
      expect(text === '1 ' ? undefined : parseQuantity(text)).toBeUndefined();
    },
  );

  test('compares across notations', () => {
    expect(compareQuantities('1Gi', '1G')).toBe(1);
    expect(compareQuantities('1000m', 1)).toBe(0);
    expect(compareQuantities('1', 'x')).toBeUndefined();
    expect(quantityMillis(parseQuantity('0.0001') ?? { nano: 0n, format: 'decimal' })).toBe(1);
    expect(quantityUnits(parseQuantity('1100m') ?? { nano: 0n, format: 'decimal' })).toBe(2);
  });

  test('the canonical text means the same and is its own canonical text', () => {
    const suffix = fc.constantFrom('', 'n', 'u', 'm', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi', 'e3', 'e-3');
    fc.assert(
      fc.property(
        fc.integer({ min: -1_000_000, max: 1_000_000 }),
        fc.nat(999),
        suffix,
        (whole, fraction, unit) => {
          const quantity = parseQuantity(`${whole}.${fraction}${unit}`);
          if (!quantity) throw new Error('not parsed');
          const text = formatQuantity(quantity);
          expect(canonicalQuantity(text)).toBe(text);
          if (quantity.format !== 'binary') expect(parseQuantity(text)?.nano).toBe(quantity.nano);
        },
      ),
    );
  });

  test('never throws', () => {
    fc.assert(fc.property(fc.anything(), (value) => void parseQuantity(value)));
  });
});

describe('IntOrString', () => {
  test.each([
    [3, 10, false, 3],
    ['25%', 10, false, 2],
    ['25%', 10, true, 3],
    ['0%', 10, true, 0],
    ['x', 10, true, undefined],
    [undefined, 10, true, undefined],
  ])('%s of %d', (value, total, up, want) => {
    expect(scaledValue(value, total, up)).toBe(want);
  });
});

describe('label selectors', () => {
  const labels = { app: 'web', tier: 'front', n: '5' };
  test.each([
    ['', true],
    ['app=web', true],
    ['app==web', true],
    ['app = web , tier!=back', true],
    ['app!=web', false],
    ['other!=web', true],
    ['app in (web,api)', true],
    ['app notin (web)', false],
    ['zone notin (a)', true],
    ['tier', true],
    ['!tier', false],
    ['!zone', true],
    ['n>4,n<6', true],
    ['app in (api),tier', false],
    ['example.com/x', false],
    ['app in ()', false],
  ])('%s -> %s', (text, want) => {
    const parsed = parseLabelSelector(text);
    expect(parsed).toMatchObject({ ok: true });
    if (parsed.ok) expect(matchesLabels(parsed.query, labels)).toBe(want);
  });

  test.each(['a=b,,c', 'a in b', '=x', 'a b', 'a=-b-', '/x', 'n>x', 'a in (x', ',a'])(
    '%s is refused',
    (text) => {
      expect(parseLabelSelector(text).ok).toBe(false);
    },
  );

  test('of objects: absent matches nothing, empty everything', () => {
    expect(labelQueryOf(undefined)).toBeUndefined();
    expect(labelQueryOf({})).toEqual([]);
    const query = labelQueryOf({
      matchLabels: { app: 'web' },
      matchExpressions: [
        { key: 'zone', operator: 'DoesNotExist' },
        { key: 'tier', operator: 'In', values: ['front'] },
      ],
    });
    expect(matchesLabels(query ?? [], labels)).toBe(true);
    expect(formatLabelQuery(query ?? [])).toBe('!zone,app=web,tier in (front)');
  });

  test('its text parses to the same query; nothing throws', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseLabelSelector(text)));
    const word = fc.stringMatching(/^[a-z]{1,5}$/);
    fc.assert(
      fc.property(fc.dictionary(word, word, { noNullPrototype: true }), (matchLabels) => {
        const query = labelQueryOf({ matchLabels }) ?? [];
        expect(parseLabelSelector(formatLabelQuery(query))).toEqual({
          ok: true,
          query: query.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
        });
      }),
    );
  });
});

describe('field selectors', () => {
  const fields = new Map([['status.phase', (one: { phase: string }) => one.phase]]);
  test.each([
    ['status.phase=Running', true],
    ['status.phase==Running', true],
    ['status.phase!=Failed,status.phase!=Succeeded', true],
    ['status.phase!=Running', false],
    ['', true],
  ])('%s -> %s', (text, want) => {
    const parsed = parseFieldSelector(text);
    expect(parsed.ok && matchesFields(parsed.query, { phase: 'Running' }, fields)).toBe(want);
  });

  test('escapes, unknown fields and nonsense', () => {
    expect(parseFieldSelector('a=b\\,c\\=d')).toEqual({
      ok: true,
      query: [{ field: 'a', equal: true, value: 'b,c=d' }],
    });
    const parsed = parseFieldSelector('status.phase=x,spec.foo=y');
    expect(parsed.ok && unknownField(parsed.query, fields)).toBe('spec.foo');
    expect(parseFieldSelector('nonsense')).toEqual({
      ok: false,
      message: "invalid selector: 'nonsense'; can't understand 'nonsense'",
    });
  });
});

describe('field errors', () => {
  test.each([
    [required('spec.ports'), 'spec.ports: Required value'],
    [required('a', 'why'), 'a: Required value: why'],
    [invalid('a', 'v', 'd'), 'a: Invalid value: "v": d'],
    [invalid('a', 5, 'd'), 'a: Invalid value: 5: d'],
    [invalid('a', ['None'], 'd'), 'a: Invalid value: ["None"]: d'],
    [invalid('a', undefined, 'd'), 'a: Invalid value: null: d'],
    [notSupported('a', 'x', ['A', 'B']), 'a: Unsupported value: "x": supported values: "A", "B"'],
    [duplicate('a', 'x'), 'a: Duplicate value: "x"'],
    [forbidden('a', 'd'), 'a: Forbidden: d'],
    [notFound('a', 'x'), 'a: Not found: "x"'],
    [tooLong('a', 63), 'a: Too long: may not be more than 63 bytes'],
    [tooMany('a', 3, 2), 'a: Too many: 3: must have at most 2 items'],
  ])('%j', (error, want) => {
    expect(formatFieldError(error)).toBe(want);
  });

  test('messages and causes of a 422', () => {
    const errors = [required('a'), required('b')];
    expect(invalidMessage('Service', '', 'x', [required('a')])).toBe(
      'Service "x" is invalid: a: Required value',
    );
    expect(invalidMessage('Deployment', 'apps', 'x', errors)).toBe(
      'Deployment.apps "x" is invalid: [a: Required value, b: Required value]',
    );
    expect(causesOf(errors)[0]).toEqual({
      reason: 'FieldValueRequired',
      message: 'Required value',
      field: 'a',
    });
  });
});

test.each([
  [-5, '<invalid>'],
  [0, '0s'],
  [119, '119s'],
  [120, '2m'],
  [125, '2m5s'],
  [600, '10m'],
  [3 * 3600 - 1, '179m'],
  [3 * 3600, '3h'],
  [3 * 3600 + 300, '3h5m'],
  [8 * 3600 + 300, '8h'],
  [47 * 3600, '47h'],
  [49 * 3600, '2d1h'],
  [9 * 86_400, '9d'],
  [800 * 86_400, '2y70d'],
  [3000 * 86_400, '8y'],
])('%d seconds are %s', (seconds, want) => {
  expect(humanDuration(seconds * 1000)).toBe(want);
});
