import { describe, expect, it } from 'vitest';
import { evaluate } from '../../../proxy/nftables/evaluate.ts';
import { Ruleset } from '../../../proxy/nftables/ruleset.ts';
import { caseGroups, comparable, expectedIn, packetOf, sorted, viewOf } from './case-world.ts';

describe.each(caseGroups().map((group) => [group.id, group] as const))('nftables: %s', (_id, group) => {
  const cases = group.cases.filter((each) => each.modes.includes('nftables'));
  const compiled = (['IPv4', 'IPv6'] as const).map((family) => {
    const { view } = viewOf(group, family);
    const ruleset = new Ruleset(view.node);
    ruleset.change(view, view.ports.keys());
    return [family, { node: view.node, chains: ruleset.chains, elements: ruleset.elements }] as const;
  });
  const rules = Object.fromEntries(compiled);

  it.each(cases.map((each) => [each.id, each.note ?? '', each] as const))('%s %s', (_caseId, _note, each) => {
    const { packet, family } = packetOf(each);
    const expected = expectedIn(each, 'nftables');
    expect(comparable(evaluate(rules[family]!, packet), expected)).toEqual(sorted(expected));
  });
  if (cases.length === 0) it('has no case for this mode', () => expect(cases).toEqual([]));
});
