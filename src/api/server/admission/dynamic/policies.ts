import {
  arrayAt,
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
  stringAt,
} from '../../../kinds/json-value.ts';
import { celFromJson, type CelKey, type CelValue } from '../../../kinds/cel/values.ts';
import type { UnknownObject } from '../../../kinds/meta.ts';
import type { KindInfo } from '../../../kinds/registry.ts';
import { labelQueryOf, matchesLabels } from '../../../kinds/selector.ts';
import { forbidden, StatusError } from '../../status.ts';
import type { Core } from '../../verbs/context.ts';
import { served } from '../../verbs/versions.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { objectOf, objectsOf } from '../objects.ts';
import {
  authorizerOf,
  conditionsHold,
  type Decide,
  evaluate,
  newBudget,
  type Variables,
  variablesOf,
} from './expressions.ts';
import { inVersion, isExempt, matchedKind, matchSourceOfPolicy, namespaceObject } from './matching.ts';
import { requestData } from './request-data.ts';

const GROUP = 'admissionregistration.k8s.io';

interface Finding {
  readonly message: string;
  readonly reason: string;
}

/** ValidatingAdmissionPolicies with their bindings (KEP-3488). Expressions are bounded; a fault follows failurePolicy. */
export function validatingPolicies(core: Core, decide: Decide): AdmissionPlugin {
  const validate = (request: AdmissionRequest): void => {
    if (isExempt(request)) return;
    for (const binding of objectsOf(core, GROUP, 'validatingadmissionpolicybindings', '')) {
      const name = stringAt(binding['spec'], 'policyName');
      const policy = objectOf(core, GROUP, 'validatingadmissionpolicies', '', name);
      if (policy) judge({ core, decide }, request, policy, binding);
    }
  };
  return { name: 'ValidatingAdmissionPolicy', validate, connect: validate };
}

function judge(
  { core, decide }: { readonly core: Core; readonly decide: Decide },
  request: AdmissionRequest,
  policy: UnknownObject,
  binding: UnknownObject,
): void {
  const [spec, bound] = [objectAt(policy, 'spec'), objectAt(binding, 'spec')];
  const kind = matchedKind(core, matchSourceOfPolicy(spec['matchConstraints']), request);
  if (!kind) return;
  const narrowed = bound['matchResources'];
  if (isObject(narrowed) && !bindingFits(core, request, narrowed)) return;
  const subject = {
    object: inVersion(request.object, request.kind, kind),
    oldObject: inVersion(request.old, request.kind, kind),
    request: requestData(request, kind, ''),
    namespaceObject: namespaceObject(core, request.namespace),
    authorizer: authorizerOf(decide, request),
  };
  let made: Variables | undefined;
  const variables = (): Variables => (made ??= variablesOf(subject));
  const tell = (finding: Finding): void => act(request, policy, binding, finding);
  const fault = (message: string): void => {
    if (spec['failurePolicy'] !== 'Ignore') tell({ message, reason: 'Invalid' });
  };
  const held = conditionsHold(spec, variables);
  if (!held.ok) return fault(held.message);
  if (!held.holds) return;
  const params = paramsFor(core, request, spec, bound);
  if (params === undefined) return;
  if (typeof params === 'string') return fault(params);
  for (const one of params) check(spec, { ...variables(), params: one }, tell, fault);
}

/** Without rules of its own a binding takes all that the policy takes. */
function bindingFits(core: Core, request: AdmissionRequest, match: JsonObject): boolean {
  const source = matchSourceOfPolicy(match);
  const everything = { operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'] };
  const rules = source.rules.length > 0 ? source.rules : [everything];
  return matchedKind(core, { ...source, rules }, request) !== undefined;
}

function check(
  spec: JsonObject,
  given: Variables,
  tell: (finding: Finding) => void,
  fault: (message: string) => void,
): void {
  const budget = newBudget();
  const composed = new Map<CelKey, CelValue>();
  const variables: Variables = { ...given, variables: composed };
  for (const one of objectsAt(spec, 'variables')) {
    const result = evaluate(stringAt(one, 'expression'), variables, budget);
    // One that fails is missing: only what reads it fails, too.
    if (result.ok) composed.set(stringAt(one, 'name'), result.value);
  }
  for (const validation of objectsAt(spec, 'validations')) {
    const expression = stringAt(validation, 'expression');
    const result = evaluate(expression, variables, budget);
    if (!result.ok) {
      fault(`expression '${expression}' resulted in error: ${result.message}`);
      continue;
    }
    if (result.value === true) continue;
    const dynamic = stringAt(validation, 'messageExpression');
    const text = dynamic ? evaluate(dynamic, variables, budget) : undefined;
    const message =
      text?.ok && typeof text.value === 'string' && text.value.trim()
        ? text.value
        : stringAt(validation, 'message');
    tell({
      message: message || `failed expression: ${expression.trim()}`,
      reason: stringAt(validation, 'reason') || 'Invalid',
    });
  }
}

const CODES: Readonly<Record<string, number>> = {
  Unauthorized: 401,
  Forbidden: 403,
  Invalid: 422,
  RequestEntityTooLarge: 413,
};

function act(
  request: AdmissionRequest,
  policy: UnknownObject,
  binding: UnknownObject,
  { message, reason }: Finding,
): void {
  const actions = arrayAt(binding['spec'], 'validationActions');
  const head = `ValidatingAdmissionPolicy '${policy.metadata.name}' with binding '${binding.metadata.name}'`;
  if (actions.includes('Warn')) request.warn(`Validation failed for ${head}: ${message}`);
  if (actions.includes('Audit')) {
    request.annotate?.(
      'validation.policy.admission.k8s.io/validation_failure',
      JSON.stringify([{ message, policy: policy.metadata.name, binding: binding.metadata.name }]),
    );
  }
  if (!actions.includes('Deny')) return;
  const error = forbidden(request.kind, request.name, `${head} denied request: ${message}`);
  throw new StatusError(CODES[reason] ?? 422, reason, error.message, {
    ...error.details,
    causes: [{ reason: '', message: `${head} denied request: ${message}` }],
  });
}

/** One evaluation a parameter; [null] without paramKind; undefined = the binding does not apply; text = a fault. */
function paramsFor(
  core: Core,
  request: AdmissionRequest,
  spec: JsonObject,
  bound: JsonObject,
): readonly CelValue[] | string | undefined {
  const { paramKind } = spec;
  const ref = bound['paramRef'];
  if (!isObject(paramKind) || !isObject(ref)) return [null];
  const kind = core.registry.findByKind(stringAt(paramKind, 'apiVersion'), stringAt(paramKind, 'kind'));
  if (!kind)
    return `failed to find resource referenced by paramKind: '${stringAt(paramKind, 'apiVersion')}, Kind=${stringAt(paramKind, 'kind')}'`;
  const namespace = kind.namespaced ? stringAt(ref, 'namespace') || request.namespace : '';
  if (kind.namespaced && !namespace)
    return 'cannot use namespaced paramRef in policy binding that matches cluster-scoped resources';
  const found = findParams(core, kind, namespace, ref);
  if (found.length > 0) return found.map((one) => celFromJson(one));
  if (ref['parameterNotFoundAction'] === 'Allow') return undefined;
  return 'no params found for policy binding with `Deny` parameterNotFoundAction';
}

function findParams(core: Core, kind: KindInfo, namespace: string, ref: JsonObject): UnknownObject[] {
  const name = stringAt(ref, 'name');
  if (name) {
    const entry = core.objects.get(kind, namespace, name);
    return entry ? [served(kind, entry)] : [];
  }
  const query = labelQueryOf(ref['selector']);
  const entries = Array.from(core.objects.cacheOf(kind).range(core.objects.prefixOf(kind, namespace)));
  return entries
    .map((entry) => served(kind, entry))
    .filter((one) => query === undefined || matchesLabels(query, one.metadata.labels));
}
