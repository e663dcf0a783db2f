import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJson } from '../../../src/api/kinds/decode/json-text.ts';
import { StrictErrors } from '../../../src/api/kinds/decode/strict-errors.ts';
import { canonicalMicroTime, canonicalTime } from '../../../src/api/kinds/decode/time.ts';
import { readTyped } from '../../../src/api/kinds/decode/typed.ts';
import { MAX_YAML_BODY_CHARACTERS } from '../../../src/api/kinds/limits.ts';
import { parseYaml, parseYamlDocuments } from '../../../src/api/kinds/decode/yaml-text.ts';
import { MAX_BODY_DEPTH, MAX_STRICT_ERRORS, MAX_YAML_ALIASES } from '../../../src/api/kinds/limits.ts';

function jsonErrors(text: string): string[] {
  const errors = new StrictErrors();
  expect(parseJson(text, errors)).toMatchObject({ ok: true });
  return errors.texts;
}

describe('JSON text', () => {
  test.each([
    ['a field twice', '{"a":1,"a":2}', ['duplicate field "a"']],
    ['nested, with index', '{"spec":{"l":[{"x":1},{"y":1,"y":2}]}}', ['duplicate field "spec.l[1].y"']],
    ['the same name in different objects', '{"a":{"x":1},"b":{"x":1},"l":[{"x":1},{"x":1}]}', []],
    ['a key as text inside a value', '{"a":"{\\"b\\":1,\\"b\\":2}","c":["b","b"]}', []],
    ['an escaped key equal to a plain one', '{"\\u0061":1,"a":2}', ['duplicate field "a"']],
  ])('%s', (_name, text, want) => {
    expect(jsonErrors(text)).toEqual(want);
  });

  test('the last of two wins', () => {
    expect(parseJson('{"a":1,"a":2}', new StrictErrors())).toEqual({ ok: true, value: { a: 2 } });
  });

  test('nesting is bounded', () => {
    const deep = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
    expect(parseJson(deep(MAX_BODY_DEPTH), new StrictErrors()).ok).toBe(true);
    expect(parseJson(deep(MAX_BODY_DEPTH + 1), new StrictErrors())).toEqual({
      ok: false,
      message: `exceeded max depth of ${MAX_BODY_DEPTH}`,
    });
    expect(parseJson(deep(1_000_000), new StrictErrors()).ok).toBe(false);
  });

  test('findings are bounded', () => {
    const text = `{${Array.from({ length: 500 }, (_, i) => `"k${i}":1,"k${i}":2`).join(',')}}`;
    expect(jsonErrors(text)).toHaveLength(MAX_STRICT_ERRORS);
  });

  test('agrees with the engine on every text and never throws', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(parseJson(text, new StrictErrors())).toEqual({ ok: true, value: JSON.parse(text) });
      }),
    );
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(typeof parseJson(text, new StrictErrors()).ok).toBe('boolean');
      }),
    );
  });
});

describe('YAML text', () => {
  test.each([
    [
      'booleans of YAML 1.1',
      '{a: yes, b: on, c: off, d: "yes", e: n}',
      { a: true, b: true, c: false, d: 'yes', e: false },
    ],
    ['octal file modes', 'mode: 0644', { mode: 420 }],
    ['dates stay text', 'd: 2001-01-01', { d: '2001-01-01' }],
    ['base-60 numbers stay text', 'p: 1:30', { p: '1:30' }],
    ['anchors and merge keys', 'a: &x {q: 1}\nb: {<<: *x, r: 2}', { a: { q: 1 }, b: { q: 1, r: 2 } }],
    ['a key that would be a prototype', '__proto__: {x: 1}', JSON.parse('{"__proto__":{"x":1}}')],
    ['nothing', '', null],
  ])('%s', (_name, text, want) => {
    expect(parseYaml(text, new StrictErrors())).toMatchObject({ ok: true, value: want });
  });

  test('duplicate keys are told, the last wins', () => {
    const errors = new StrictErrors();
    expect(parseYaml('a: 1\na: 2', errors)).toMatchObject({ ok: true, value: { a: 2 } });
    expect(errors.texts).toEqual(['duplicate field "a"']);
  });

  test.each([
    ['flow lists', (depth: number) => `a: ${'['.repeat(depth)}`],
    ['flow maps', (depth: number) => `a: ${'{a: '.repeat(depth)}`],
    ['lists in a line', (depth: number) => '- '.repeat(depth)],
    ['closed lists', (depth: number) => `a: ${'['.repeat(depth)}${']'.repeat(depth)}`],
    ['complex keys', (depth: number) => '? '.repeat(depth)],
  ])('does not build %s nested without end', (_name, text) => {
    const { ok, message } = parseYaml(text(200_000), new StrictErrors()) as { ok: boolean; message?: string };
    expect([ok, message]).toEqual([false, expect.stringMatching(/exceeded max depth|is longer than/)]);
    const small = parseYaml(text(20_000), new StrictErrors());
    expect(small).toMatchObject({ ok: false, message: 'yaml: exceeded max depth of 512' });
  });

  test('reads JSON as JSON, and YAML only up to a bound', () => {
    const errors = new StrictErrors();
    const text = `\n{"a": 1, "b": {"c": "yes"}, "a": 2}`;
    expect(parseYaml(text, errors)).toEqual({ ok: true, value: { a: 2, b: { c: 'yes' } } });
    expect(errors.texts).toEqual(['duplicate field "a"']);
    expect(parseYaml('{a: 1, b: yes}', errors)).toMatchObject({ ok: true, value: { a: 1, b: true } });
    const long = JSON.stringify({ a: 'x'.repeat(MAX_YAML_BODY_CHARACTERS) });
    expect(parseYaml(long, errors).ok).toBe(true);
    expect(parseYaml(`a: ${'x'.repeat(MAX_YAML_BODY_CHARACTERS)}`, errors)).toMatchObject({
      ok: false,
      message: expect.stringMatching(/send it as JSON/) as string,
    });
  });

  test('several documents keep their line', () => {
    const documents = parseYamlDocuments('a: 1\n---\n---\n# note\nb: 2\n---\nc: [\n');
    expect(documents.map(({ ok, line }) => [ok, line])).toEqual([
      [true, 1],
      [true, 5],
      [false, 7],
    ]);
    expect(parseYaml('a: 1\n---\nb: 2', new StrictErrors()).ok).toBe(false);
  });

  test('bombs and depth are refused', () => {
    const letters = Array.from('abcdefghij');
    const bomb = letters.map((name, i) => {
      const refs =
        i === 0
          ? '"lol","lol"'
          : Array(9)
              .fill(`*${letters[i - 1]}`)
              .join(',');
      return `${name}: &${name} [${refs}]`;
    });
    expect(parseYaml(bomb.join('\n'), new StrictErrors()).ok).toBe(false);
    const many = `a: &a x\nb: [${Array(MAX_YAML_ALIASES + 1)
      .fill('*a')
      .join(',')}]`;
    expect(parseYaml(many, new StrictErrors())).toMatchObject({
      ok: false,
      message: 'yaml: document contains excessive aliasing',
    });
    expect(parseYaml('['.repeat(100_000), new StrictErrors()).ok).toBe(false);
    expect(parseYaml(`${'{a: '.repeat(700)}1${'}'.repeat(700)}`, new StrictErrors()).ok).toBe(false);
  });

  test('never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...Array.from('a:-[]{}&*!|>#\n "\'<?,0x')) }), (text) => {
        expect(typeof parseYaml(text, new StrictErrors()).ok).toBe('boolean');
      }),
    );
  });
});

const POD = 'core/v1.Pod';

function read(value: unknown, type = POD): { object: unknown; strict: string[]; message: string } {
  const errors = new StrictErrors();
  const typed = readTyped(value, type, errors);
  return typed.ok
    ? { object: typed.object, strict: errors.texts, message: '' }
    : { object: undefined, strict: errors.texts, message: typed.message };
}

describe('typed reading', () => {
  test('unknown fields are told with their path and dropped', () => {
    const value = {
      metadata: { name: 'a', labls: {} },
      spec: { containers: [{ name: 'a', ports: [{ containerPrt: 80 }] }] },
      extra: 1,
    };
    expect(read(value).strict).toEqual([
      'unknown field "metadata.labls"',
      'unknown field "spec.containers[0].ports[0].containerPrt"',
      'unknown field "extra"',
    ]);
  });

  test.each([
    [
      'text for a number',
      { spec: { terminationGracePeriodSeconds: '30' } },
      'json: cannot unmarshal string into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64',
    ],
    [
      'a number for text',
      { metadata: { name: 3 } },
      'json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string',
    ],
    [
      'a fraction for an integer',
      { spec: { containers: [{ name: 'a', ports: [{ containerPort: 1.5 }] }] } },
      'json: cannot unmarshal number 1.5 into Go struct field ContainerPort.spec.containers.ports.containerPort of type int32',
    ],
    [
      'an object for a list',
      { spec: { containers: {} } },
      'json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container',
    ],
    [
      'a bad quantity',
      { spec: { overhead: { cpu: '1 core' } } },
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ],
    ['a list as the object', [], 'json: cannot unmarshal array into Go value of type v1.Pod'],
  ])('%s', (_name, value, message) => {
    expect(read(value).message).toBe(message);
  });

  test('empty optional values vanish, pointers and required values stay', () => {
    const value = {
      metadata: { name: 'a', labels: {}, annotations: null, creationTimestamp: null },
      spec: { replicas: 0, paused: false, minReadySeconds: 0, selector: {}, template: null },
    };
    expect(read(value, 'apps/v1.Deployment').object).toEqual({
      metadata: { name: 'a' },
      spec: { replicas: 0, selector: {}, template: { metadata: {}, spec: {} }, strategy: {} },
      status: {},
    });
  });

  test('quantities and times become canonical', () => {
    const value = {
      metadata: { creationTimestamp: '2026-01-01T01:00:00.5+01:00' },
      spec: { containers: [{ name: 'a', resources: { limits: { cpu: 0.5, memory: '1024Mi' } } }] },
    };
    expect(read(value).object).toMatchObject({
      metadata: { creationTimestamp: '2026-01-01T00:00:00Z' },
      spec: { containers: [{ resources: { limits: { cpu: '500m', memory: '1Gi' } } }] },
    });
  });

  test('a label named __proto__ is a label', () => {
    const { object } = read(JSON.parse('{"metadata":{"labels":{"__proto__":"x"}}}'));
    const { labels } = (object as { metadata: { labels: object } }).metadata;
    expect(Object.keys(labels)).toEqual(['__proto__']);
    expect(Object.getPrototypeOf(labels)).toBe(Object.prototype);
  });

  test('never throws on arbitrary JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(typeof readTyped(value, POD, new StrictErrors()).ok).toBe('boolean');
      }),
    );
  });
});

describe('times', () => {
  test.each([
    ['2026-02-28T23:59:59Z', '2026-02-28T23:59:59Z'],
    ['2026-02-28T23:59:59.999+00:30', '2026-02-28T23:29:59Z'],
    ['2026-02-30T00:00:00Z', undefined],
    ['2026-01-01', undefined],
    ['2026-01-01T24:00:00Z', undefined],
    [5, undefined],
  ])('%s', (text, want) => {
    expect(canonicalTime(text)).toBe(want);
  });

  test('microseconds are kept', () => {
    expect(canonicalMicroTime('2026-01-01T00:00:00.1234567Z')).toBe('2026-01-01T00:00:00.123456Z');
    expect(canonicalMicroTime('2026-01-01T00:00:00Z')).toBe('2026-01-01T00:00:00.000000Z');
  });
});
