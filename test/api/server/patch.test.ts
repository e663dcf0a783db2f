import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { builtinSchema } from '../../../src/api/kinds/schema/builtin-schema.ts';
import { applyJsonPatch } from '../../../src/api/server/patch/json-patch.ts';
import { applyMergePatch } from '../../../src/api/server/patch/merge-patch.ts';
import { applyStrategicMerge } from '../../../src/api/server/patch/strategic-merge.ts';

describe('JSON patch (RFC 6902)', () => {
  const cases: [name: string, document: unknown, patch: unknown[], result: unknown][] = [
    ['add a member', { a: 1 }, [{ op: 'add', path: '/b', value: 2 }], { a: 1, b: 2 }],
    ['add into an array', { a: [1, 3] }, [{ op: 'add', path: '/a/1', value: 2 }], { a: [1, 2, 3] }],
    ['append', { a: [1] }, [{ op: 'add', path: '/a/-', value: 2 }], { a: [1, 2] }],
    ['remove', { a: 1, b: 2 }, [{ op: 'remove', path: '/a' }], { b: 2 }],
    ['replace', { a: { b: 1 } }, [{ op: 'replace', path: '/a/b', value: 2 }], { a: { b: 2 } }],
    ['move', { a: 1 }, [{ op: 'move', from: '/a', path: '/b' }], { b: 1 }],
    ['copy', { a: [1] }, [{ op: 'copy', from: '/a', path: '/b' }], { a: [1], b: [1] }],
    ['escapes', { 'a/b': 1, 'm~n': 2 }, [{ op: 'remove', path: '/a~1b' }], { 'm~n': 2 }],
    ['test passes', { a: { b: [1] } }, [{ op: 'test', path: '/a', value: { b: [1] } }], { a: { b: [1] } }],
  ];
  it.each(cases)('%s', (_name, document, patch, result) => {
    const before = JSON.stringify(document);
    expect(applyJsonPatch(document, patch)).toEqual(result);
    expect(JSON.stringify(document)).toBe(before);
  });

  it.each([
    ['failed test', [{ op: 'test', path: '/a', value: 2 }], 422],
    ['missing path', [{ op: 'remove', path: '/x' }], 422],
    ['index out of range', [{ op: 'add', path: '/l/9', value: 1 }], 422],
    ['unknown operation', [{ op: 'frob', path: '/a' }], 422],
    ['no array', { op: 'add' }, 400],
    ['10,001 operations', Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/a', value: 1 })), 413],
  ])('refuses: %s', (_name, patch, code) => {
    expect(() => applyJsonPatch({ a: 1, l: [] }, patch)).toThrow(expect.objectContaining({ code }));
  });

  it('does not reach a prototype', () => {
    const result = applyJsonPatch({}, [{ op: 'add', path: '/__proto__', value: { polluted: true } }]);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    expect(Object.hasOwn(result as object, '__proto__')).toBe(true);
  });
});

describe('merge patch (RFC 7386)', () => {
  it.each([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('%j + %j = %j', (document, patch, result) => {
    expect(applyMergePatch(document, patch)).toEqual(result);
  });

  it('is idempotent', () => {
    const json = fc.dictionary(fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(json, json, (document, patch) => {
        const once = applyMergePatch(document, patch);
        expect(applyMergePatch(once, patch)).toEqual(once);
      }),
    );
  });
});

describe('strategic merge patch', () => {
  const schema = builtinSchema('core/v1.PodSpec');
  const live = {
    containers: [
      { name: 'a', image: 'a:1', env: [{ name: 'X', value: '1' }] },
      { name: 'b', image: 'b:1' },
    ],
    nodeSelector: { disk: 'ssd' },
  };
  it.each([
    ['merges items by name', { containers: [{ name: 'a', image: 'a:2' }] }, ['a a:2', 'b b:1']],
    ['appends new items', { containers: [{ name: 'c', image: 'c:1' }] }, ['a a:1', 'b b:1', 'c c:1']],
    ['deletes an item', { containers: [{ name: 'a', $patch: 'delete' }] }, ['b b:1']],
    ['replaces the list', { containers: [{ $patch: 'replace' }, { name: 'z', image: 'z:1' }] }, ['z z:1']],
    [
      'orders as told',
      {
        '$setElementOrder/containers': [{ name: 'c' }, { name: 'b' }, { name: 'a' }],
        containers: [{ name: 'c', image: 'c:1' }],
      },
      ['c c:1', 'b b:1', 'a a:1'],
    ],
  ])('%s', (_name, patch, containers) => {
    const result = applyStrategicMerge(live, patch, schema) as {
      containers: { name: string; image: string }[];
    };
    expect(result.containers.map(({ name, image }) => `${name} ${image}`)).toEqual(containers);
  });

  it('keeps what the patch does not name inside a merged item', () => {
    const patch = { containers: [{ name: 'a', env: [{ name: 'Y', value: '2' }] }] };
    const result = applyStrategicMerge(live, patch, schema) as typeof live;
    expect(result.containers[0]).toEqual({
      name: 'a',
      image: 'a:1',
      env: [
        { name: 'X', value: '1' },
        { name: 'Y', value: '2' },
      ],
    });
  });

  it('deletes fields by null, maps by $patch and refuses items without their key', () => {
    expect(applyStrategicMerge(live, { nodeSelector: null }, schema)).not.toHaveProperty('nodeSelector');
    expect(
      applyStrategicMerge(live, { nodeSelector: { $patch: 'replace', zone: 'z' } }, schema),
    ).toMatchObject({
      nodeSelector: { zone: 'z' },
    });
    expect(() => applyStrategicMerge(live, { containers: [{ image: 'x' }] }, schema)).toThrow(
      /merge key: name/,
    );
  });

  it('keeps only $retainKeys', () => {
    const strategy = builtinSchema('apps/v1.DeploymentSpec');
    const before = { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } };
    const patch = { strategy: { $retainKeys: ['type'], type: 'Recreate' } };
    expect(applyStrategicMerge(before, patch, strategy)).toEqual({ strategy: { type: 'Recreate' } });
  });
});
