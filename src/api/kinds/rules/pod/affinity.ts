import { type FieldError, forbidden, invalid, required } from '../../field-error.ts';
import { dnsLabel, dnsSubdomain, labelValue, qualifiedName } from '../../formats.ts';
import {
  arrayAt,
  isObject,
  type JsonObject,
  numberAt,
  objectAt,
  objectsAt,
  stringAt,
} from '../../json-value.ts';
import { addTexts, unknownOperator, validateSelector, validateSetOperator } from '../checks.ts';

const REQUIRED = 'requiredDuringSchedulingIgnoredDuringExecution';
const PREFERRED = 'preferredDuringSchedulingIgnoredDuringExecution';
const MAX_WEIGHT = 100;

/** Node, pod and pod anti-affinity. */
export function validateAffinity(errors: FieldError[], affinity: JsonObject, at: string): void {
  const node = objectAt(affinity, 'nodeAffinity');
  if (isObject(node[REQUIRED]))
    validateNodeSelector(errors, node[REQUIRED], `${at}.nodeAffinity.${REQUIRED}`);
  for (const [index, term] of objectsAt(node, PREFERRED).entries()) {
    const path = `${at}.nodeAffinity.${PREFERRED}[${index}]`;
    validateWeight(errors, term, path);
    validateNodeTerm(errors, objectAt(term, 'preference'), `${path}.preference`, false);
  }
  for (const kind of ['podAffinity', 'podAntiAffinity']) {
    const pods = objectAt(affinity, kind);
    for (const [index, term] of objectsAt(pods, REQUIRED).entries())
      validatePodTerm(errors, term, `${at}.${kind}.${REQUIRED}[${index}]`);
    for (const [index, term] of objectsAt(pods, PREFERRED).entries()) {
      const path = `${at}.${kind}.${PREFERRED}[${index}]`;
      validateWeight(errors, term, path);
      validatePodTerm(errors, objectAt(term, 'podAffinityTerm'), `${path}.podAffinityTerm`);
    }
  }
}

/** A NodeSelector, of pods and of volumes. */
export function validateNodeSelector(errors: FieldError[], selector: JsonObject, at: string): void {
  const terms = objectsAt(selector, 'nodeSelectorTerms');
  if (terms.length === 0)
    errors.push(required(`${at}.nodeSelectorTerms`, 'must have at least one node selector term'));
  for (const [index, term] of terms.entries())
    validateNodeTerm(errors, term, `${at}.nodeSelectorTerms[${index}]`, true);
}

function validateWeight(errors: FieldError[], term: JsonObject, at: string): void {
  const weight = numberAt(term, 'weight') ?? 0;
  if (weight <= 0 || weight > MAX_WEIGHT)
    errors.push(invalid(`${at}.weight`, weight, `must be in the range 1-${MAX_WEIGHT}`));
}

/** Values of preferences are not judged: a preference that cannot be met does no harm. */
function validateNodeTerm(errors: FieldError[], term: JsonObject, at: string, judgeValues: boolean): void {
  for (const [index, one] of objectsAt(term, 'matchExpressions').entries()) {
    validateNodeExpression(errors, one, `${at}.matchExpressions[${index}]`, judgeValues);
  }
  for (const [index, one] of objectsAt(term, 'matchFields').entries()) {
    validateNodeField(errors, one, `${at}.matchFields[${index}]`);
  }
}

function validateNodeExpression(
  errors: FieldError[],
  one: JsonObject,
  at: string,
  judgeValues: boolean,
): void {
  const operator = stringAt(one, 'operator');
  const values = arrayAt(one, 'values');
  if (operator === 'Gt' || operator === 'Lt') {
    const text = "must be specified single value when `operator` is 'Lt' or 'Gt'";
    if (values.length !== 1) errors.push(required(`${at}.values`, text));
  } else if (!validateSetOperator(errors, one, at)) errors.push(unknownOperator(one, at));
  const key = stringAt(one, 'key');
  addTexts(errors, `${at}.key`, key, qualifiedName(key));
  for (const [index, value] of judgeValues ? values.entries() : []) {
    addTexts(errors, `${at}.values[${index}]`, value, labelValue(String(value)));
  }
}

/** Of a node's fields only the name selects. */
function validateNodeField(errors: FieldError[], one: JsonObject, at: string): void {
  const operator = stringAt(one, 'operator');
  const values = arrayAt(one, 'values');
  if (operator !== 'In' && operator !== 'NotIn') errors.push(unknownOperator(one, at));
  else if (values.length !== 1) {
    const text = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
    errors.push(required(`${at}.values`, text));
  }
  const key = stringAt(one, 'key');
  if (key !== 'metadata.name') {
    errors.push(invalid(`${at}.key`, key, 'not a valid field selector key'));
    return;
  }
  for (const [index, value] of values.entries()) {
    addTexts(errors, `${at}.values[${index}]`, value, dnsSubdomain(String(value)));
  }
}

function validatePodTerm(errors: FieldError[], term: JsonObject, at: string): void {
  for (const name of ['labelSelector', 'namespaceSelector']) {
    if (isObject(term[name])) validateSelector(errors, term[name], `${at}.${name}`);
  }
  for (const name of arrayAt(term, 'namespaces')) {
    addTexts(errors, `${at}.namespace`, name, dnsLabel(String(name)));
  }
  for (const name of ['matchLabelKeys', 'mismatchLabelKeys'])
    validateLabelKeys(errors, term, `${at}.${name}`, name);
  const key = stringAt(term, 'topologyKey');
  if (key === '') errors.push(required(`${at}.topologyKey`, 'can not be empty'));
  addTexts(errors, `${at}.topologyKey`, key, qualifiedName(key));
}

/** Labels of the pod itself that join the selector. */
export function validateLabelKeys(errors: FieldError[], term: JsonObject, field: string, name: string): void {
  const keys = arrayAt(term, name);
  if (keys.length === 0) return;
  if (!isObject(term['labelSelector'])) {
    errors.push(forbidden(field, 'must not be specified when labelSelector is not set'));
    return;
  }
  for (const [index, key] of keys.entries())
    addTexts(errors, `${field}[${index}]`, key, qualifiedName(String(key)));
}
