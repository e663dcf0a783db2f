import type { PolicyRule } from '../../authorize/rules.ts';

type Rule = Partial<PolicyRule>;

export interface BootstrapRole {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly rules?: readonly Rule[];
  /** Labels of the roles this one is the sum of. */
  readonly aggregates?: readonly Readonly<Record<string, string>>[];
}

/**
 * Roles from text: a name at the start of a line, below it one rule a line, two spaces in: `verbs groups resources
 * [names of objects]` or `verbs paths`, each with commas. Four spaces in goes on with the line before.
 */
export function rolesIn(text: string): BootstrapRole[] {
  const roles: { name: string; rules: Rule[] }[] = [];
  for (const line of text.trim().replaceAll('\n    ', '').split('\n')) {
    if (line.startsWith('  ')) roles.at(-1)?.rules.push(ruleIn(line.trim()));
    else roles.push({ name: line, rules: [] });
  }
  return roles;
}

function ruleIn(line: string): Rule {
  const [verbs = [], second = [], resources, resourceNames] = line.split(' ').map((part) => part.split(','));
  if (!resources) return { verbs, nonResourceURLs: second };
  const apiGroups = second.map((group) => (group === 'core' ? '' : group));
  return { verbs, apiGroups, resources, ...(resourceNames && { resourceNames }) };
}
