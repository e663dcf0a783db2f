import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestServer, patchType, type TestServer } from '../support.ts';
import { define, DEFINITIONS, widget, widgetDefinition, WIDGETS } from './definitions.ts';

const rules = (...rules: object[]): object => ({ 'x-kubernetes-validations': rules });

describe('x-kubernetes-validations', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await openTestServer();
    const properties = {
      min: { type: 'integer' },
      max: { type: 'integer' },
      fixed: { type: 'string', ...rules({ rule: 'self == oldSelf', reason: 'FieldValueForbidden' }) },
      when: { type: 'string', format: 'date-time' },
      once: {
        type: 'string',
        ...rules({ rule: '!oldSelf.hasValue() || self == oldSelf.value()', optionalOldSelf: true }),
      },
      parts: {
        type: 'array',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['id'],
        items: {
          type: 'object',
          required: ['id'],
          properties: { id: { type: 'string' }, size: { type: 'integer' } },
          ...rules({ rule: 'self.size >= oldSelf.size', message: 'may not shrink' }),
        },
      },
      numbers: { type: 'array', maxItems: 100, items: { type: 'integer' } },
    };
    await define(
      server.call,
      widgetDefinition(
        {},
        {
          schema: {
            openAPIV3Schema: {
              type: 'object',
              properties: {
                spec: {
                  type: 'object',
                  properties,
                  ...rules(
                    {
                      rule: '!has(self.min) || !has(self.max) || self.min <= self.max',
                      messageExpression: '"min %d is above max %d".format([self.min, self.max])',
                      fieldPath: '.min',
                    },
                    { rule: '!has(self.when) || self.when > timestamp("2020-01-01T00:00:00Z")' },
                    {
                      rule: '!has(self.numbers) || self.numbers.all(a, self.numbers.all(b, self.numbers.all(c, a + b + c >= 0)))',
                    },
                  ),
                },
              },
              ...rules({ rule: 'self.metadata.name != "forbidden"', message: 'not this name' }),
            },
          },
        },
      ),
    );
  });
  afterAll(() => server[Symbol.asyncDispose]());

  const cases: readonly (readonly [name: string, spec: object, message: string])[] = [
    [
      'x',
      { min: 5, max: 3 },
      'Widget.example.com "x" is invalid: spec.min: Invalid value: "object": min 5 is above max 3',
    ],
    [
      'forbidden',
      {},
      'Widget.example.com "forbidden" is invalid: <nil>: Invalid value: "object": not this name',
    ],
    [
      'x',
      { when: '2019-01-01T00:00:00Z' },
      'Widget.example.com "x" is invalid: spec: Invalid value: "object": failed rule: !has(self.when) || self.when > timestamp("2020-01-01T00:00:00Z")',
    ],
  ];
  it.each(cases)('refuse %s with %j', async (name, spec, message) => {
    const { status, body } = await server.call('POST', WIDGETS, widget(name, spec));
    expect([status, body.message]).toEqual([422, message]);
  });

  it('compare with the old value, item by item', async () => {
    const target = `${WIDGETS}/changing`;
    await server.call(
      'POST',
      WIDGETS,
      widget('changing', { fixed: 'a', once: 'o', parts: [{ id: 'p', size: 2 }] }),
    );
    const change = (spec: object) => server.call('PATCH', target, { spec }, patchType.merge);
    expect((await change({ fixed: 'b' })).body.message).toContain(
      'spec.fixed: Forbidden: failed rule: self == oldSelf',
    );
    expect((await change({ once: 'p' })).status).toBe(422);
    expect((await change({ parts: [{ id: 'p', size: 1 }] })).body.message).toContain(
      'spec.parts[0]: Invalid value: "object": may not shrink',
    );
    expect(
      (
        await change({
          parts: [
            { id: 'q', size: 0 },
            { id: 'p', size: 3 },
          ],
        })
      ).status,
    ).toBe(200);
  });

  it('end when they cost too much', async () => {
    const numbers = Array.from({ length: 100 }, (_, index) => index);
    const { status, body } = await server.call('POST', WIDGETS, widget('costly', { numbers }));
    expect(status).toBe(422);
    expect(body.message).toContain('validation failed due to running out of cost budget');
  });

  const broken: readonly (readonly [name: string, schema: object, text: string])[] = [
    ['a rule that does not parse', rules({ rule: 'self.a ==' }), 'compilation failed: ERROR: <input>:1:'],
    ['a rule about no field', rules({ rule: 'self.nope == 1' }), "undefined field 'nope'"],
    ['an empty rule', rules({ message: 'x' }), 'rule is not specified'],
    [
      'a default that does not fit',
      { properties: { a: { type: 'integer', default: 'x' } } },
      'must be of type integer',
    ],
    [
      'a pattern that is none',
      { properties: { a: { type: 'string', pattern: '(' } } },
      'must be a valid regular expression',
    ],
  ];
  it.each(broken)('let no definition in with %s', async (_name, schema, text) => {
    const definition = widgetDefinition(
      {},
      {
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { spec: { type: 'object', properties: { a: { type: 'string' } }, ...schema } },
          },
        },
      },
    );
    const { status, body } = await server.call('POST', `${DEFINITIONS}?dryRun=All`, definition);
    expect(status).toBe(422);
    expect(body.message).toContain(text);
  });
});
