import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CelBudget } from '../../../src/api/kinds/cel/budget.ts';
import { compileCel } from '../../../src/api/kinds/cel/program.ts';
import { celFromJson, jsonFromCel } from '../../../src/api/kinds/cel/values.ts';

const SELF = {
  name: 'web',
  count: 3,
  ratio: 0.5,
  tags: ['a', 'b'],
  labels: { app: 'web', 'x.y/z': '1' },
  items: [
    { name: 'one', port: 80 },
    { name: 'two', port: 81 },
  ],
  'has-dash': true,
  namespace: 'ns',
};

function evaluate(expression: string, self: unknown = SELF): unknown {
  const made = compileCel(expression, new Set(['self']));
  if (!made.ok) return `compile: ${made.message}`;
  const result = made.program.evaluate({ self: celFromJson(self) });
  return result.ok ? jsonFromCel(result.value) : `error: ${result.message}`;
}

describe('CEL', () => {
  const cases: readonly (readonly [expression: string, value: unknown])[] = [
    ['1 + 2 * 3 - 4 / 2', 5],
    ['7 % 3 == 1 && -7 / 2 == -3', true],
    ['0x10 + 1u', 17],
    ['1.5 + 0.5 == 2.0', true],
    ['"a" + \'b\' + """c"d""" + r"\\d"', 'abc"d\\d'],
    ['"\\u00e9\\n\\x41"', 'é\nA'],
    ['!true || 1 < 2', true],
    ['true ? 1 : 2 ', 1],
    ['[1, 2, 3][1]', 2],
    ['{"a": 1, "b": 2}["b"]', 2],
    ['2 in [1, 2]', true],
    ['"app" in self.labels', true],
    ['self.labels["x.y/z"]', '1'],
    ['self.has__dash__dash && self.__namespace__ == "ns"', true],
    ['has(self.name) && !has(self.missing)', true],
    ['self.missing', 'error: no such key: missing'],
    ['self.tags[5]', 'error: index out of bounds: 5'],
    ['1 / 0', 'error: division by zero'],
    ['9223372036854775807 + 1', 'error: integer overflow'],
    ['true || 1 / 0 == 1', true],
    ['1 / 0 == 1 || true', true],
    ['false && self.missing', false],
    ['self.missing && false', false],
    ['self.items.all(i, i.port >= 80)', true],
    ['self.items.exists(i, i.name == "two")', true],
    ['self.items.exists_one(i, i.port == 80)', true],
    ['self.items.map(i, i.port)', [80, 81]],
    ['self.items.map(i, i.port > 80, i.name)', ['two']],
    ['self.items.filter(i, i.port > 80).size()', 1],
    ['self.labels.all(k, k.size() < 9)', true],
    ['self.labels.exists(k, v, k == "app" && v == "web")', true],
    ['self.tags.transformList(i, v, v + string(i))', ['a0', 'b1']],
    ['self.items.all(a, self.items.exists_one(b, a.name == b.name))', true],
    ['size("héllo") == 5 && "héllo".size() == 5', true],
    ['"a,b,c".split(",").join("-")', 'a-b-c'],
    ['"abcdef".substring(1, 3) + "x".replace("x", "y")', 'bcy'],
    ['"Hello".lowerAscii() + "x".upperAscii()', 'helloX'],
    ['"hello".indexOf("l") + "hello".lastIndexOf("l")', 5],
    ['"abc".matches("^[a-c]+$") && matches("abc", "b")', true],
    ['"a1b22".findAll("[0-9]+")', ['1', '22']],
    ['"%s is %d".format(["x", 5])', 'x is 5'],
    ['[3, 1, 2].sort() == [1, 2, 3] && [1, 2].isSorted()', true],
    ['[1, 2, 3].sum() + [1, 2].max() - [1, 2].min()', 7],
    ['sets.contains([1, 2, 3], [2]) && sets.equivalent([1, 2], [2, 1])', true],
    ['duration("1h30m") > duration("89m") && duration("90s").getMinutes() == 1', true],
    ['timestamp("2024-02-03T04:05:06Z").getHours() == 4', true],
    ['timestamp("2024-01-02T00:00:00Z") - timestamp("2024-01-01T00:00:00Z") == duration("24h")', true],
    ['isIP("10.0.0.1") && !isIP("10.0.0") && ip("::1").family() == 6', true],
    ['cidr("10.0.0.0/8").containsIP("10.1.2.3") && !cidr("10.0.0.0/8").containsCIDR("11.0.0.0/16")', true],
    [
      'url("https://a.b:8080/c?d=e").getHost() == "a.b:8080" && url("https://a.b/c").getEscapedPath() == "/c"',
      true,
    ],
    ['isURL("not a url")', false],
    [
      'quantity("1Gi").isGreaterThan(quantity("900M")) && quantity("500m").add(quantity("0.5")).asInteger() == 1',
      true,
    ],
    ['self.?missing.orValue("none") + self.?name.orValue("none")', 'noneweb'],
    ['self.tags[?9].hasValue()', false],
    ['optional.of(2).optMap(v, v * 2).value()', 4],
    ['optional.of(self.count * 2).optMap(x, x + x).value()', 12],
    ['[3, 1, 2].sortBy(n, -n)', [3, 2, 1]],
    ['[[1, [2]], [3]].flatten(2).first().value() + lists.range(3).last().value()', 3],
    ['[optional.of(1), optional.none()].unwrapOpt() + optional.unwrap([optional.of(2)])', [1, 2]],
    ['{"a": 1, "b": 2}.transformMapEntry(k, v, v > 1, {k + k: v})', { bb: 2 }],
    ['type(1) == int && type("") == string && type([]) == list', true],
    ['int("42") + int(3.9) + int(true ? 1 : 0)', 46],
    ['double(3) / 2.0 == 1.5 && string(3.5) == "3.5"', true],
    ['dyn(1) == 1.0 && 1 != "1"', true],
    ['self.count / 2.0', 1.5],
    ['// a comment\n 1', 1],
  ];
  it.each(cases)('%s', (expression, value) => {
    expect(evaluate(expression)).toEqual(value);
  });

  const broken: readonly (readonly [expression: string, text: string])[] = [
    ['1 +', "Syntax error: mismatched input '<EOF>' expecting {"],
    ['self.a b', "Syntax error: extraneous input 'b' expecting <EOF>"],
    ['unknown == 1', "undeclared reference to 'unknown'"],
    ['self.foo()', "undeclared reference to 'foo'"],
    ['"open', 'token recognition error'],
    ['self.a.b.contains()', 'found no matching overload'],
    ['if', 'reserved identifier: if'],
    ['has(self)', 'invalid argument to has() macro'],
    [`${'('.repeat(300)}1${')'.repeat(300)}`, 'recursion limit'],
    [`${'!'.repeat(5000)}true`, 'recursion limit'],
    ['1'.repeat(100_000), 'too long'],
    [Array.from({ length: 3000 }, () => '1').join('+'), 'recursion limit'],
  ];
  it.each(broken)('does not compile: %.40s', (expression, text) => {
    expect(evaluate(expression)).toContain(text);
  });

  it('stops what costs too much, also inside ||', () => {
    const list = Array.from({ length: 1000 }, (_, index) => index);
    const all = 'self.all(a, self.all(b, self.all(c, a + b + c >= 0)))';
    for (const expression of [all, `${all} || true`, `[1].exists(x, ${all})`]) {
      const made = compileCel(expression, new Set(['self']));
      const result = made.ok
        ? made.program.evaluate({ self: celFromJson(list) }, new CelBudget(100_000))
        : made;
      expect(result).toMatchObject({ ok: false, outOfBudget: true });
    }
    expect(evaluate('self.matches("(a+)+$")', 'a'.repeat(50_000) + 'b')).toBe(false);
    expect(evaluate('"x".matches("(((a{100}){100}){100})")')).toContain('error: error parsing regexp');
  });

  it('grows no value beyond its bound', () => {
    const doubling = Array.from({ length: 40 }, () => '[0]').join('+');
    expect(evaluate(doubling)).toHaveLength(40);
    const blow =
      'optional.of(self + self).optMap(a, a + a + a + a).optMap(b, b + b + b + b).optMap(c, c + c + c + c).value()';
    expect(evaluate(blow, 'x'.repeat(100_000))).toMatch(/too long|cost limit/);
  });

  it('never throws, whatever the text', () => {
    const word = fc.constantFrom(
      'self',
      '.',
      'a',
      '(',
      ')',
      '[',
      ']',
      '{',
      '}',
      '1',
      '"x"',
      '+',
      '-',
      '!',
      '?',
      ':',
      ',',
      'all',
      'map',
      'has',
      ' in ',
      '&&',
      '||',
      '==',
      '1.5',
      'size',
      'matches',
      'null',
      '.?',
      '[?',
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 30 }), fc.jsonValue(), (words, self) => {
        const made = compileCel(words.join(''), new Set(['self']));
        if (made.ok) made.program.evaluate({ self: celFromJson(self) });
      }),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => void compileCel(text, new Set())),
      { numRuns: 500 },
    );
  });
});
