import { Fault } from '../../../base/fault.ts';
import { StrictErrors } from '../../kinds/decode/strict-errors.ts';
import { parseYaml } from '../../kinds/decode/yaml-text.ts';
import { arrayAt, isObject, type JsonObject, objectsAt, stringAt } from '../../kinds/json-value.ts';
import type { UserInfo } from '../http/request.ts';
import type { RequestInfo } from '../http/request-info.ts';

export const AUDIT_POLICY = 'AUDIT_POLICY';

const LEVELS = ['None', 'Metadata', 'Request', 'RequestResponse'] as const;
const STAGES = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'] as const;
export type AuditLevel = (typeof LEVELS)[number];
export type AuditStage = (typeof STAGES)[number];

export interface AuditDecision {
  readonly level: AuditLevel;
  readonly omitStages: ReadonlySet<string>;
  readonly omitManagedFields: boolean;
}

interface Rule extends AuditDecision {
  fits(user: UserInfo | undefined, info: RequestInfo): boolean;
}

const SILENT: AuditDecision = { level: 'None', omitStages: new Set(), omitManagedFields: false };

/** First rule that fits decides; none is silence. */
export type AuditPolicy = (user: UserInfo | undefined, info: RequestInfo) => AuditDecision;

/** Reads a Policy (audit.k8s.io/v1), YAML or JSON. Throws Fault AUDIT_POLICY with all mistakes. */
export function parseAuditPolicy(text: string): AuditPolicy {
  const parsed = parseYaml(text, new StrictErrors());
  if (!parsed.ok) throw new Fault(AUDIT_POLICY, `the audit policy is not readable: ${parsed.message}`);
  const document = isObject(parsed.value) ? parsed.value : {};
  const errors: string[] = [];
  if (document['kind'] !== 'Policy' || document['apiVersion'] !== 'audit.k8s.io/v1') {
    errors.push('it must be of kind Policy, apiVersion audit.k8s.io/v1');
  }
  const omitStages = stagesOf(document, 'omitStages', errors);
  const omitManagedFields = document['omitManagedFields'] === true;
  const rules = objectsAt(document, 'rules').map((one, index) =>
    ruleOf(one, `rules[${index}]`, { omitStages, omitManagedFields }, errors),
  );
  if (rules.length === 0) errors.push('rules must have at least one entry');
  if (errors.length > 0) throw new Fault(AUDIT_POLICY, `the audit policy is not valid: ${errors.join('; ')}`);
  return (user, info) => rules.find((rule) => rule.fits(user, info)) ?? SILENT;
}

function stagesOf(source: JsonObject, path: string, errors: string[]): ReadonlySet<string> {
  const stages = arrayAt(source, 'omitStages').map(String);
  for (const stage of stages) {
    if (!STAGES.some((one) => one === stage))
      errors.push(`${path} has the unknown stage ${JSON.stringify(stage)}`);
  }
  return new Set(stages);
}

function ruleOf(
  source: JsonObject,
  path: string,
  general: Pick<AuditDecision, 'omitStages' | 'omitManagedFields'>,
  errors: string[],
): Rule {
  const level = LEVELS.find((one) => one === source['level']);
  if (!level) errors.push(`${path}.level must be one of ${LEVELS.join(', ')}`);
  const own = stagesOf(source, `${path}.omitStages`, errors);
  const omit = source['omitManagedFields'];
  return {
    level: level ?? 'None',
    omitStages: new Set([...general.omitStages, ...own]),
    omitManagedFields: typeof omit === 'boolean' ? omit : general.omitManagedFields,
    fits: (user, info) => fits(source, user, info),
  };
}

function fits(rule: JsonObject, user: UserInfo | undefined, info: RequestInfo): boolean {
  const among = (field: string, values: readonly string[]): boolean => {
    const wanted = arrayAt(rule, field);
    return wanted.length === 0 || values.some((one) => wanted.includes(one));
  };
  if (!among('users', [user?.username ?? '']) || !among('userGroups', user?.groups ?? [])) return false;
  if (!among('verbs', [info.verb])) return false;
  const resources = objectsAt(rule, 'resources');
  const urls = arrayAt(rule, 'nonResourceURLs').map(String);
  if (!info.isResource) {
    if (resources.length > 0 || arrayAt(rule, 'namespaces').length > 0)
      return urls.length > 0 && urlFits(urls, info.path);
    return urls.length === 0 || urlFits(urls, info.path);
  }
  if (!among('namespaces', [info.namespace])) return false;
  if (resources.length === 0) return urls.length === 0;
  return resources.some((one) => resourceFits(one, info));
}

function urlFits(urls: readonly string[], path: string): boolean {
  return urls.some((one) => (one.endsWith('*') ? path.startsWith(one.slice(0, -1)) : one === path));
}

function resourceFits(group: JsonObject, info: RequestInfo): boolean {
  if (stringAt(group, 'group') !== info.group) return false;
  const names = arrayAt(group, 'resourceNames');
  if (names.length > 0 && !names.includes(info.name)) return false;
  const wanted = arrayAt(group, 'resources').map(String);
  if (wanted.length === 0) return true;
  const combined = info.subresource ? `${info.resource}/${info.subresource}` : info.resource;
  return wanted.some(
    (one) =>
      one === combined ||
      one === '*' ||
      (info.subresource !== '' && (one === `${info.resource}/*` || one === `*/${info.subresource}`)),
  );
}
