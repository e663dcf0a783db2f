import { describe, expect, it } from 'vitest';
import { ExitError } from '../../src/cli/context.ts';
import { logQuery, podName } from '../../src/cli/objects/logs.ts';

describe('weft logs', () => {
  it.each([
    ['cart-0', 'cart-0'],
    ['pod/cart-0', 'cart-0'],
    ['pods/cart-0', 'cart-0'],
    ['po/cart-0', 'cart-0'],
  ])('takes %s for a pod', (text, name) => {
    expect(podName(text)).toBe(name);
  });

  it.each(['deploy/front', 'pod/', '', 'a/b/c', 'pod/cart-0/log'])('asks for a pod instead of %j', (text) => {
    expect(() => podName(text)).toThrow(ExitError);
  });

  it.each([
    [{}, ''],
    [{ tail: '20', follow: true }, '?follow=true&tailLines=20'],
    [{ since: '5m', container: 'web' }, '?container=web&sinceSeconds=300'],
  ])('turns %j into %s', (flags, query) => {
    expect(logQuery(flags)).toBe(query);
  });

  it.each([{ tail: 'all' }, { since: '5 minutes' }])('refuses %j', (flags) => {
    expect(() => logQuery(flags)).toThrow(ExitError);
  });
});
