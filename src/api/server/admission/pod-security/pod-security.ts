import { equalJson, isObject, type JsonObject, objectAt } from '../../../kinds/json-value.ts';
import { notSupported } from '../../../kinds/field-error.ts';
import type { UnknownObject } from '../../../kinds/meta.ts';
import { forbidden, invalid } from '../../status.ts';
import type { Core } from '../../verbs/context.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { objectOf, objectsOf } from '../objects.ts';
import { type Level, violations, violationText } from './checks.ts';

const PREFIX = 'pod-security.kubernetes.io/';
const LEVELS: readonly string[] = ['privileged', 'baseline', 'restricted'];
const VERSION = /^(?:latest|v1\.\d{1,3})$/;

interface Policy {
  readonly level: Level;
  readonly version: string;
}

/**
 * Pod Security Standards by labels of the namespace: `enforce` refuses pods, `warn` and `audit` also speak about
 * workloads that would make such pods.
 */
export function podSecurity(core: Core): AdmissionPlugin {
  return {
    name: 'PodSecurity',
    validate(request) {
      const { kind, object, operation, subresource } = request;
      if (!object || (operation !== 'CREATE' && operation !== 'UPDATE')) return;
      if (kind.group === '' && kind.kind === 'Namespace') return checkNamespace(core, request);
      if (!kind.namespaced || (subresource && subresource !== 'ephemeralcontainers')) return;
      const template = templateOf(request, object);
      if (!template || unchanged(request, template)) return;
      const namespace = objectOf(core, '', 'namespaces', '', request.namespace);
      if (namespace) judge(request, namespace, template);
    },
  };
}

interface Template {
  readonly spec: JsonObject;
  readonly metadata: JsonObject;
  readonly isPod: boolean;
}

function templateOf({ kind }: AdmissionRequest, object: UnknownObject): Template | undefined {
  if (kind.group === '' && kind.kind === 'Pod') {
    return { spec: objectAt(object, 'spec'), metadata: objectAt(object, 'metadata'), isPod: true };
  }
  const spec = objectAt(object, 'spec');
  const holder = kind.kind === 'CronJob' ? objectAt(objectAt(spec, 'jobTemplate'), 'spec') : spec;
  const template = kind.kind === 'PodTemplate' ? object['template'] : holder['template'];
  if (!isObject(template) || kind.openApiSchema !== undefined) return undefined;
  return { spec: objectAt(template, 'spec'), metadata: objectAt(template, 'metadata'), isPod: false };
}

/** What of a pod can still change does not change the judgement, but for images and debug containers. */
function unchanged(request: AdmissionRequest, template: Template): boolean {
  const old = request.old && templateOf(request, request.old);
  return old !== undefined && equalJson(old.spec, template.spec);
}

function policyOf(namespace: UnknownObject, mode: string): Policy | undefined {
  const level = namespace.metadata.labels?.[PREFIX + mode];
  if (level === undefined || !LEVELS.includes(level) || level === 'privileged') return undefined;
  return {
    level: level as Level,
    version: namespace.metadata.labels?.[`${PREFIX}${mode}-version`] ?? 'latest',
  };
}

/** 25 of `v1.25`; the newest rules for `latest`. */
function minorOf(version: string): number {
  return version === 'latest' ? Number.POSITIVE_INFINITY : Number(version.slice('v1.'.length));
}

function judge(request: AdmissionRequest, namespace: UnknownObject, template: Template): void {
  const enforce = policyOf(namespace, 'enforce');
  const told = enforce && template.isPod ? brokenText(enforce, template) : undefined;
  if (told !== undefined) throw forbidden(request.kind, request.name, `violates PodSecurity ${told}`);
  for (const mode of ['audit', 'warn'] as const) {
    const policy = policyOf(namespace, mode);
    const text = policy && brokenText(policy, template);
    if (text === undefined) continue;
    if (mode === 'warn') request.warn(`would violate PodSecurity ${text}`);
    else request.annotate?.(`${PREFIX}audit-violations`, `would violate PodSecurity ${text}`);
  }
}

function brokenText({ level, version }: Policy, { spec, metadata }: Template): string | undefined {
  const found = violations(level, { spec, metadata, minor: minorOf(version) });
  return found.length > 0 ? `"${level}:${version}": ${violationText(found)}` : undefined;
}

/** Labels must name levels; a stricter level tells which pods there already break it. */
function checkNamespace(core: Core, request: AdmissionRequest): void {
  const { object, old, kind, name } = request;
  if (!object) return;
  const labels = object.metadata.labels ?? {};
  const errors = ['enforce', 'audit', 'warn'].flatMap((mode) => {
    const [level, version] = [labels[PREFIX + mode], labels[`${PREFIX}${mode}-version`]];
    return [
      ...(level !== undefined && !LEVELS.includes(level)
        ? [notSupported(`metadata.labels[${PREFIX}${mode}]`, level, LEVELS)]
        : []),
      ...(version !== undefined && !VERSION.test(version)
        ? [notSupported(`metadata.labels[${PREFIX}${mode}-version]`, version, ['latest', 'v1.x'])]
        : []),
    ];
  });
  if (errors.length > 0) throw invalid(kind, name, errors);
  const policy = policyOf(object, 'enforce');
  if (!policy || !old || equalJson(policyOf(old, 'enforce'), policy)) return;
  warnOfPods(core, request, policy);
}

const PODS_TOLD_MAX = 3_000;

function warnOfPods(core: Core, request: AdmissionRequest, policy: Policy): void {
  const broken = new Map<string, string[]>();
  const minor = minorOf(policy.version);
  for (const pod of objectsOf(core, '', 'pods', request.name).slice(0, PODS_TOLD_MAX)) {
    const [spec, metadata] = [objectAt(pod, 'spec'), objectAt(pod, 'metadata')];
    const found = violations(policy.level, { spec, metadata, minor });
    if (found.length === 0) continue;
    const rules = found.map(({ rule }) => rule).join(', ');
    broken.set(rules, [...(broken.get(rules) ?? []), pod.metadata.name]);
  }
  if (broken.size === 0) return;
  request.warn(
    `existing pods in namespace ${JSON.stringify(request.name)} violate the new PodSecurity enforce level "${policy.level}:${policy.version}"`,
  );
  for (const [rules, [first = '', ...others]] of broken) {
    const more =
      others.length === 0 ? '' : ` (and ${others.length} other pod${others.length === 1 ? '' : 's'})`;
    request.warn(`${first}${more}: ${rules}`);
  }
}
