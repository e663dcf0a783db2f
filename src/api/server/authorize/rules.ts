import { arrayAt, objectsAt } from '../../kinds/json-value.ts';

/** rbac/v1 PolicyRule with all lists present. */
export interface PolicyRule {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames: readonly string[];
  readonly nonResourceURLs: readonly string[];
}

export function rulesOf(role: unknown): PolicyRule[] {
  return objectsAt(role, 'rules').map((rule) => ({
    verbs: strings(rule, 'verbs'),
    apiGroups: strings(rule, 'apiGroups'),
    resources: strings(rule, 'resources'),
    resourceNames: strings(rule, 'resourceNames'),
    nonResourceURLs: strings(rule, 'nonResourceURLs'),
  }));
}

const strings = (rule: unknown, field: string): string[] =>
  arrayAt(rule, field).filter((one) => typeof one === 'string');

const ALL = '*';
const has = (list: readonly string[], value: string): boolean => list.includes(ALL) || list.includes(value);

export interface ResourceAccess {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
}

export function allowsResource(rule: PolicyRule, access: ResourceAccess): boolean {
  if (!has(rule.verbs, access.verb) || !has(rule.apiGroups, access.group)) return false;
  const full = access.subresource ? `${access.resource}/${access.subresource}` : access.resource;
  const matches =
    has(rule.resources, full) ||
    (access.subresource !== '' && rule.resources.includes(`*/${access.subresource}`));
  if (!matches) return false;
  return rule.resourceNames.length === 0 || rule.resourceNames.includes(access.name);
}

export function allowsPath(rule: PolicyRule, verb: string, path: string): boolean {
  if (!has(rule.verbs, verb)) return false;
  return rule.nonResourceURLs.some(
    (url) => url === ALL || url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1))),
  );
}

/** The parts of the asked rules that no held rule grants, one verb, group, resource and name at a time. */
export function uncovered(held: readonly PolicyRule[], asked: readonly PolicyRule[]): PolicyRule[] {
  const missing: PolicyRule[] = [];
  for (const rule of asked) {
    for (const atom of atomsOf(rule)) {
      if (!held.some((one) => covers(one, atom))) missing.push(atom);
    }
  }
  return missing;
}

function atomsOf(rule: PolicyRule): PolicyRule[] {
  const nothing = { apiGroups: [], resources: [], resourceNames: [], nonResourceURLs: [] };
  const names = rule.resourceNames.length > 0 ? rule.resourceNames.map((name) => [name]) : [[]];
  const onResources = rule.apiGroups.flatMap((group) =>
    rule.resources.flatMap((resource) =>
      rule.verbs.flatMap((verb) =>
        names.map((resourceNames) => ({
          ...nothing,
          verbs: [verb],
          apiGroups: [group],
          resources: [resource],
          resourceNames,
        })),
      ),
    ),
  );
  const onPaths = rule.nonResourceURLs.flatMap((url) =>
    rule.verbs.map((verb) => ({ ...nothing, verbs: [verb], nonResourceURLs: [url] })),
  );
  return [...onResources, ...onPaths];
}

function covers(held: PolicyRule, atom: PolicyRule): boolean {
  const [verb = ''] = atom.verbs;
  if (!has(held.verbs, verb)) return false;
  const [url] = atom.nonResourceURLs;
  if (url !== undefined) return held.nonResourceURLs.some((one) => one === url || coversPattern(one, url));
  const [group = ''] = atom.apiGroups;
  const [resource = ''] = atom.resources;
  if (!has(held.apiGroups, group)) return false;
  const subresource = resource.includes('/') ? `*/${resource.split('/')[1]}` : undefined;
  if (!has(held.resources, resource) && !(subresource && held.resources.includes(subresource))) return false;
  if (held.resourceNames.length === 0) return true;
  const [name] = atom.resourceNames;
  return name !== undefined && held.resourceNames.includes(name);
}

const coversPattern = (held: string, asked: string): boolean =>
  held === ALL || (held.endsWith('*') && asked.startsWith(held.slice(0, -1)));

/** `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get"]}`: how a refusal names what is missing. */
export function formatRule(rule: PolicyRule): string {
  const list = (name: string, values: readonly string[]): string[] =>
    values.length > 0 ? [`${name}:[${values.map((one) => JSON.stringify(one)).join(' ')}]`] : [];
  const parts = [
    ...list('APIGroups', rule.apiGroups),
    ...list('Resources', rule.resources),
    ...list('ResourceNames', rule.resourceNames),
    ...list('NonResourceURLs', rule.nonResourceURLs),
    ...list('Verbs', rule.verbs),
  ];
  return `{${parts.join(', ')}}`;
}
