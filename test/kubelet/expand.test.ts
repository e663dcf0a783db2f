import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expand, ownLookup } from '../../src/kubelet/environment/expand.ts';
import { type MountPath, rewritePaths } from '../../src/kubelet/volumes/mounts.ts';

const VALUES: Readonly<Record<string, string>> = { A: 'one', B: '$(A)', EMPTY: '' };
const lookup = ownLookup(VALUES);

describe('$(NAME)', () => {
  it.each([
    ['a known name', '$(A)-x', 'one-x'],
    ['an unknown name stays', '$(NOPE)', '$(NOPE)'],
    ['a name of every object', '$(toString)', '$(toString)'],
    ['an escape', '$$(A)', '$(A)'],
    ['an escaped escape', '$$$(A)', '$one'],
    ['an empty value', '[$(EMPTY)]', '[]'],
    ['values are not expanded again', '$(B)', '$(A)'],
    ['an open bracket', '$(A', '$(A'],
    ['a lone dollar', 'cost: 5$', 'cost: 5$'],
    ['shell variables', '$A ${A}', '$A ${A}'],
  ])('%s', (_name, text, expected) => expect(expand(text, lookup)).toBe(expected));

  it('leaves text without a dollar alone', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!text.includes('$'));
        expect(expand(text, lookup)).toBe(text);
      }),
    );
  });

  it('undoes doubling: any text whose dollars are doubled comes out as it was', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(expand(text.replaceAll('$', '$$$$'), lookup)).toBe(text);
      }),
    );
  });

  it('replaces each known reference between texts without dollars', () => {
    const plain = fc.string().map((text) => text.replaceAll('$', ''));
    fc.assert(
      fc.property(fc.array(plain, { minLength: 1 }), (parts) => {
        expect(expand(parts.join('$(A)'), lookup)).toBe(parts.join('one'));
      }),
    );
  });
});

describe('mountPaths in text', () => {
  const mounts: readonly MountPath[] = [
    { name: 'sub', mountPath: '/etc/app/sub', hostPath: '/pods/sub' },
    { name: 'conf', mountPath: '/etc/app', hostPath: '/pods/conf' },
  ];
  it.each([
    ['whole', '/etc/app', '/pods/conf'],
    ['with a rest', '/etc/app/a.yaml', '/pods/conf/a.yaml'],
    ['in a flag', '--config=/etc/app/a.yaml', '--config=/pods/conf/a.yaml'],
    ['in a script', "cat '/etc/app/a' >/etc/app/b", "cat '/pods/conf/a' >/pods/conf/b"],
    ['the nested one first', '/etc/app/sub/x', '/pods/sub/x'],
    ['not a longer name', '/etc/application', '/etc/application'],
    ['not inside another path', '/opt/etc/app', '/opt/etc/app'],
  ])('%s', (_name, text, expected) => expect(rewritePaths(text, mounts)).toBe(expected));
});
