import { dnsLabel, dnsSubdomain } from '../formats.ts';
import { CelError } from './budget.ts';
import type { FunctionTable } from './functions.ts';
import { CEL_ACCESS_CHECK_STEPS } from './limits.ts';
import { CelOpaque, type CelValue, typeName } from './values.ts';

/** What an expression asks of the authorizer; absent = empty. */
export interface CelAccess {
  /** Instead of the user of the request. */
  readonly serviceAccount?: { readonly namespace: string; readonly name: string };
  readonly path?: string;
  readonly group?: string;
  readonly resource?: string;
  readonly subresource?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
  readonly verb: string;
}

export interface CelDecision {
  readonly allowed: boolean;
  readonly reason: string;
}

export type CelAuthorizer = (access: CelAccess) => CelDecision;

type AuthorizerType = Extract<CelOpaque['type'], `kubernetes.authorization.${string}`>;

/** A question that is being put together. */
interface Question {
  readonly ask: CelAuthorizer;
  readonly access: Omit<CelAccess, 'verb'>;
}

const AUTHORIZER = 'kubernetes.authorization.Authorizer';
const PATH_CHECK = 'kubernetes.authorization.PathCheck';
const GROUP_CHECK = 'kubernetes.authorization.GroupCheck';
const RESOURCE_CHECK = 'kubernetes.authorization.ResourceCheck';
const DECISION = 'kubernetes.authorization.Decision';

const question = (type: AuthorizerType, made: Question): CelOpaque => new CelOpaque(type, '', made);

/** The variables `authorizer` and `authorizer.requestResource` of an admission (KEP-3488). */
export function authorizerVariables(
  ask: CelAuthorizer,
  requested: Question['access'],
): Readonly<Record<string, CelValue>> {
  return {
    authorizer: question(AUTHORIZER, { ask, access: {} }),
    'authorizer.requestResource': question(RESOURCE_CHECK, { ask, access: requested }),
  };
}

function dataOf(value: CelValue | undefined, ...types: AuthorizerType[]): unknown {
  if (value instanceof CelOpaque && types.some((type) => type === value.type)) return value.data;
  throw new CelError(`no such overload: expected ${types.join(' or ')}, got ${typeName(value ?? null)}`);
}

function textOf(value: CelValue | undefined): string {
  if (typeof value === 'string') return value;
  throw new CelError(`no such overload: expected string, got ${typeName(value ?? null)}`);
}

/** One more detail of a question. */
const detail = (from: AuthorizerType, to: AuthorizerType, field: keyof CelAccess): FunctionTable[string] => [
  2,
  2,
  ([value, text]) => {
    const { ask, access } = dataOf(value, from) as Question;
    return question(to, { ask, access: { ...access, [field]: textOf(text) } });
  },
];

const onResource = (field: keyof CelAccess): FunctionTable[string] =>
  detail(RESOURCE_CHECK, RESOURCE_CHECK, field);

function serviceAccount([value, first, second]: readonly CelValue[]): CelOpaque {
  const { ask } = dataOf(value, AUTHORIZER) as Question;
  const [namespace, name] = [textOf(first), textOf(second)];
  if (dnsLabel(namespace).length > 0) throw new CelError('Invalid service account namespace');
  if (dnsSubdomain(name).length > 0) throw new CelError('Invalid service account name');
  return question(AUTHORIZER, { ask, access: { serviceAccount: { namespace, name } } });
}

const decisionOf = (value: CelValue | undefined): CelDecision => dataOf(value, DECISION) as CelDecision;

export const AUTHORIZER_FUNCTIONS: FunctionTable = {
  path: detail(AUTHORIZER, PATH_CHECK, 'path'),
  group: detail(AUTHORIZER, GROUP_CHECK, 'group'),
  serviceAccount: [3, 3, serviceAccount],
  resource: detail(GROUP_CHECK, RESOURCE_CHECK, 'resource'),
  subresource: onResource('subresource'),
  namespace: onResource('namespace'),
  name: onResource('name'),
  fieldSelector: onResource('fieldSelector'),
  labelSelector: onResource('labelSelector'),
  check: [
    2,
    2,
    ([value, verb], budget) => {
      budget.spend(CEL_ACCESS_CHECK_STEPS);
      const { ask, access } = dataOf(value, PATH_CHECK, RESOURCE_CHECK) as Question;
      return new CelOpaque(DECISION, '', ask({ ...access, verb: textOf(verb) }));
    },
  ],
  allowed: [1, 1, ([value]) => decisionOf(value).allowed],
  reason: [1, 1, ([value]) => decisionOf(value).reason],
  // weft's authorizers know or do not; none of them fails.
  errored: [1, 1, ([value]) => decisionOf(value) === undefined],
  error: [1, 1, ([value]) => (decisionOf(value), '')],
};
