import { CelBudget } from '../../../kinds/cel/budget.ts';
import { CEL_OBJECT_STEPS_MAX } from '../../../kinds/cel/limits.ts';
import { type CelProgram, compileCel } from '../../../kinds/cel/program.ts';
import { ADMISSION_VARIABLES } from '../../../kinds/cel/admission-variables.ts';
import { celFromJson, type CelValue } from '../../../kinds/cel/values.ts';
import { type JsonObject, objectsAt, stringAt } from '../../../kinds/json-value.ts';
import type { AccessAttributes, Decision } from '../../authorize/authorizer.ts';
import { serviceAccountUser } from '../../identity/service-account-user.ts';
import type { AdmissionRequest } from '../admission.ts';
import { authorizerVariables, type CelAccess } from '../../../kinds/cel/functions-authorizer.ts';
import type { UnknownObject } from '../../../kinds/meta.ts';

const PROGRAMS_KEPT_MAX = 1_024;
const programs = new Map<string, CelProgram | string>();

/** Compiled once a text; a string is why it does not compile. */
export function programOf(text: string): CelProgram | string {
  let known = programs.get(text);
  if (known === undefined) {
    const made = compileCel(text, ADMISSION_VARIABLES);
    known = made.ok ? made.program : made.message;
    if (programs.size >= PROGRAMS_KEPT_MAX) programs.clear();
    programs.set(text, known);
  }
  return known;
}

/** Who may what, for the variable `authorizer`. */
export type Decide = (attributes: AccessAttributes) => Decision;

export interface Subject {
  readonly object: UnknownObject | undefined;
  readonly oldObject: UnknownObject | undefined;
  readonly request: JsonObject;
  readonly namespaceObject: UnknownObject | undefined;
  readonly authorizer: Readonly<Record<string, CelValue>>;
}

export type Variables = Record<string, CelValue>;

export function variablesOf({ object, oldObject, request, namespaceObject, authorizer }: Subject): Variables {
  return {
    ...authorizer,
    object: celFromJson(object ?? null),
    oldObject: celFromJson(oldObject ?? null),
    request: celFromJson(request),
    namespaceObject: celFromJson(namespaceObject ?? null),
  };
}

/** `authorizer` for the user of a request. */
export function authorizerOf(decide: Decide, request: AdmissionRequest): Readonly<Record<string, CelValue>> {
  const { kind, subresource, namespace, name, user } = request;
  const ask = ({ serviceAccount, verb, path, ...of }: CelAccess): Decision =>
    decide({
      user: serviceAccount ? serviceAccountUser(serviceAccount.namespace, serviceAccount.name) : user,
      verb,
      group: of.group ?? '',
      version: '*',
      resource: of.resource ?? '',
      subresource: of.subresource ?? '',
      namespace: of.namespace ?? '',
      name: of.name ?? '',
      path,
      fieldSelector: of.fieldSelector ?? '',
    });
  return authorizerVariables(ask, { group: kind.group, resource: kind.plural, subresource, namespace, name });
}

export type Evaluated =
  | { readonly ok: true; readonly value: CelValue }
  | { readonly ok: false; readonly message: string };

export function evaluate(text: string, variables: Variables, budget: CelBudget): Evaluated {
  const program = programOf(text);
  if (typeof program === 'string') return { ok: false, message: `compilation error: ${program}` };
  return program.evaluate(variables, budget);
}

export const newBudget = (): CelBudget => new CelBudget(CEL_OBJECT_STEPS_MAX);

/** All must hold: false as soon as one does not, else the first that cannot be evaluated decides. */
export function conditionsHold(
  source: JsonObject,
  variables: () => Variables,
): { readonly ok: true; readonly holds: boolean } | { readonly ok: false; readonly message: string } {
  const conditions = objectsAt(source, 'matchConditions');
  if (conditions.length === 0) return { ok: true, holds: true };
  const values = variables();
  const budget = newBudget();
  let failure: string | undefined;
  for (const condition of conditions) {
    const result = evaluate(stringAt(condition, 'expression'), values, budget);
    if (result.ok && result.value === false) return { ok: true, holds: false };
    if (!result.ok) failure ??= result.message;
  }
  return failure === undefined ? { ok: true, holds: true } : { ok: false, message: failure };
}
