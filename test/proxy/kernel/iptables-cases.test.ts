import { describe, expect, it } from 'vitest';
import { chainHash } from '../../../proxy/iptables/chain-names.ts';
import { evaluate } from '../../../proxy/iptables/evaluate.ts';
import { MASQUERADE_BIT } from '../../../proxy/iptables/base-rules.ts';
import { Ruleset } from '../../../proxy/iptables/ruleset.ts';
import { caseGroups, comparable, expectedIn, packetOf, sorted, viewOf } from './case-world.ts';

const base = { masqueradeBit: MASQUERADE_BIT, dropInvalid: true, randomFully: true };

it('names chains as kube-proxy does', () => expect(chainHash('ns1/svc1:p80tcp')).toBe('XPGD46QRK7WJZT7O'));

describe.each(caseGroups().map((group) => [group.id, group] as const))('iptables: %s', (_id, group) => {
  const cases = group.cases.filter((each) => each.modes.includes('iptables'));
  const compiled = (['IPv4', 'IPv6'] as const).map((family) => {
    const { view } = viewOf(group, family);
    const ruleset = new Ruleset(view.node, base);
    ruleset.change(view, view.ports.keys());
    return [family, { node: view.node, tables: ruleset.tables() }] as const;
  });
  const rules = Object.fromEntries(compiled);

  it.each(cases.map((each) => [each.id, each.note ?? '', each] as const))('%s %s', (_caseId, _note, each) => {
    const { packet, family } = packetOf(each);
    const expected = expectedIn(each, 'iptables');
    expect(comparable(evaluate(rules[family]!, packet), expected)).toEqual(sorted(expected));
  });
});
