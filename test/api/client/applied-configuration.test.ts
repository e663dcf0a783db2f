import { describe, expect, it } from 'vitest';
import { withAppliedConfiguration } from '../../../src/api/client/applied-configuration.ts';
import type { KubeObject } from '../../../src/api/kinds/meta.ts';

const ANNOTATION = 'kubectl.kubernetes.io/last-applied-configuration';
const map = (data: object, annotations?: Record<string, string>): KubeObject =>
  ({
    kind: 'ConfigMap',
    apiVersion: 'v1',
    metadata: { namespace: 'default', name: 'a', ...(annotations && { annotations }) },
    data,
  }) as KubeObject;

describe('what was applied is noted as kubectl notes it', () => {
  it.each<[name: string, object: KubeObject, note: string]>([
    [
      'in order, with annotations even where there are none',
      map({ b: '1', a: '2' }),
      '{"apiVersion":"v1","data":{"a":"2","b":"1"},"kind":"ConfigMap","metadata":{"annotations":{},"name":"a","namespace":"default"}}\n',
    ],
    [
      'numbers as texts, and characters of HTML',
      map({ 9: 'a<b>&c', 10: ['\u2028', 0.5, null, true] }),
      '{"apiVersion":"v1","data":{"10":["\\u2028",0.5,null,true],"9":"a\\u003cb\\u003e\\u0026c"},"kind":"ConfigMap","metadata":{"annotations":{},"name":"a","namespace":"default"}}\n',
    ],
    [
      'without an older note',
      map({}, { x: 'y', [ANNOTATION]: 'old' }),
      '{"apiVersion":"v1","data":{},"kind":"ConfigMap","metadata":{"annotations":{"x":"y"},"name":"a","namespace":"default"}}\n',
    ],
  ])('%s', (_name, object, note) => {
    const { annotations } = withAppliedConfiguration(object).metadata;
    expect(annotations?.[ANNOTATION]).toBe(note);
  });

  it('but not for objects that are too large for it', () => {
    const large = map({ a: 'x'.repeat(200_000) });
    expect(withAppliedConfiguration(large)).toBe(large);
  });
});
