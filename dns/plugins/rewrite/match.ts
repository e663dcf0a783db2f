import type { Token } from '../../corefile/syntax.ts';
import type { SetupContext } from '../../plugin.ts';
import { readRegex } from '../../user-regex.ts';
import { absoluteName, foldName, parseName } from '../../wire/name.ts';

export const MATCH_KINDS = ['exact', 'prefix', 'suffix', 'substring', 'regex'] as const;
export type MatchKind = (typeof MATCH_KINDS)[number];

/** Says whether a folded absolute name fits, and with which groups (only regex has some). */
export type NameTest = (name: string) => readonly string[] | undefined;

const NO_GROUPS: readonly string[] = [];

export function readTest(context: SetupContext, kind: MatchKind, from: Token): NameTest | undefined {
  const text = foldName(from.text);
  if (kind === 'regex') {
    const regex = readRegex(context, from);
    return regex && ((name) => regex.match(name)?.groups);
  }
  if (text === '') {
    context.fault(from, `an empty ${kind} matches nothing`);
    return undefined;
  }
  if (kind === 'exact' && parseName(text) === undefined) {
    context.fault(from, `"${from.text}" is not a name`);
    return undefined;
  }
  const whole = absoluteName(text);
  const tests: Readonly<Record<Exclude<MatchKind, 'regex'>, (name: string) => boolean>> = {
    exact: (name) => name === whole,
    prefix: (name) => name.startsWith(text),
    suffix: (name) => name.endsWith(whole),
    substring: (name) => name.includes(text),
  };
  const test = tests[kind];
  return (name) => (test(name) ? NO_GROUPS : undefined);
}

/** Puts the groups into `{0}`, `{1}` ...; a number without a group becomes nothing. */
export function fillGroups(text: string, groups: readonly string[]): string {
  return text.replace(/\{(\d{1,3})\}/g, (_all, index: string) => groups[Number(index)] ?? '');
}

/** How one name becomes another, and the way back for `answer auto`. */
export interface NameMapping {
  readonly there: (name: string) => string | undefined;
  /** The way back of every name; undefined: only the name that was asked for is taken back. */
  readonly back: ((name: string) => string | undefined) | undefined;
}

export function readMapping(
  context: SetupContext,
  kind: MatchKind,
  from: Token,
  to: Token,
): NameMapping | undefined {
  const test = readTest(context, kind, from);
  if (!test) return undefined;
  const [a, b] = [foldName(from.text), foldName(to.text)];
  const [wholeA, wholeB] = [absoluteName(a), absoluteName(b)];
  switch (kind) {
    case 'exact':
      return {
        there: (name) => (test(name) ? wholeB : undefined),
        back: (name) => (name === wholeB ? wholeA : undefined),
      };
    case 'prefix':
      return {
        there: (name) => (test(name) ? b + name.slice(a.length) : undefined),
        back: undefined,
      };
    case 'suffix':
      return {
        there: (name) => (test(name) ? name.slice(0, -wholeA.length) + wholeB : undefined),
        back: (name) => (name.endsWith(wholeB) ? name.slice(0, -wholeB.length) + wholeA : undefined),
      };
    case 'substring':
      return { there: (name) => (test(name) ? name.replaceAll(a, b) : undefined), back: undefined };
    case 'regex': {
      const there = (name: string): string | undefined => {
        const groups = test(name);
        return groups && absoluteName(fillGroups(to.text, groups));
      };
      return { there, back: undefined };
    }
  }
}
