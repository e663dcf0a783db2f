import { type AdmissionScope, admissionTypes } from '../cel/check/admission-types.ts';
import { checkCel } from '../cel/check/check.ts';
import { BOOL, type CelType, declaredName, sameType } from '../cel/check/type.ts';
import { type FieldError, invalid, required } from '../field-error.ts';
import { qualifiedName } from '../formats.ts';
import { type JsonObject, objectsAt, stringAt } from '../json-value.ts';
import { addTexts } from './checks.ts';

/** What an expression must be. */
interface Wanted {
  readonly scope: AdmissionScope;
  /** Any of these; nothing is asked when there is none. */
  readonly types: readonly CelType[];
}

/** Checks an expression where it is written; undefined when it is wrong. */
export function checkExpression(
  errors: FieldError[],
  text: string,
  field: string,
  { scope, types }: Wanted,
): CelType | undefined {
  const made = checkCel(text, admissionTypes(scope));
  if (!made.ok) {
    errors.push(invalid(field, text, `compilation failed: ${made.message}`));
    return undefined;
  }
  if (types.length === 0 || types.some((type) => sameType(type, made.type))) return made.type;
  const names = types.map(declaredName);
  const wanted = names.length === 1 ? names[0] : `one of [${names.join(' ')}]`;
  errors.push(invalid(field, text, `must evaluate to ${wanted} but got ${declaredName(made.type)}`));
  return undefined;
}

/** @param params whether the policy has parameters, which its conditions may read */
export function validateMatchConditions(
  errors: FieldError[],
  owner: JsonObject,
  path: string,
  params: boolean,
): void {
  for (const [index, one] of objectsAt(owner, 'matchConditions').entries()) {
    const at = `${path}.matchConditions[${index}]`;
    const text = stringAt(one, 'expression');
    if (text.trim() === '') errors.push(required(`${at}.expression`));
    else {
      const scope = { params, authorizer: true, variables: undefined };
      checkExpression(errors, text, `${at}.expression`, { scope, types: [BOOL] });
    }
    const name = stringAt(one, 'name');
    if (name === '') errors.push(required(`${at}.name`));
    else addTexts(errors, `${at}.name`, name, qualifiedName(name));
  }
}
