import { checkCel, readsVariable } from '../cel/check/check.ts';
import { maxCost } from '../cel/check/cost.ts';
import { UNBOUNDED } from '../cel/check/estimate.ts';
import { schemaType } from '../cel/check/schema-types.ts';
import { BOOL, type CelType, optionalOf, sameType, STRING } from '../cel/check/type.ts';
import { REQUEST_MAX_BYTES, type ValueType } from '../cel/check/value-type.ts';
import { type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts';
import { isObject, type JsonObject, numberAt, objectsAt, stringAt } from '../json-value.ts';
import { CRD_COST_MAX, RULE_COST_MAX } from '../limits.ts';
import { fieldAt } from './rule-field-path.ts';

const RULES = 'x-kubernetes-validations';
/** What messages call the type of `self`. It is no name rules can use. */
const SELF_TYPE = 'selfType0';
const REASONS = ['FieldValueDuplicate', 'FieldValueForbidden', 'FieldValueInvalid', 'FieldValueRequired'];
const LINE_BREAK = /[\n\r]/;
const TOO_COSTLY =
  'try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared';

/** One place of a schema. */
interface Node {
  readonly schema: JsonObject;
  readonly path: string;
  readonly root: boolean;
  /** How often the place may be there in one object; undefined when the schema sets no bound. */
  readonly count: number | undefined;
  /** The list above whose items are not told apart, so that they have no old values; undefined where there is none. */
  readonly unrelated: string | undefined;
}

/**
 * The rules of a schema, as they are when a definition is written: types that fit, messages that are texts, and no more
 * estimated cost than one rule and one definition may have (KEP-2876).
 * @param judgeCosts false for a schema that stays as it was: what each rule costs is not judged again
 */
export function ruleErrors(root: JsonObject, path: string, judgeCosts: boolean): FieldError[] {
  const check = new RuleCheck(judgeCosts);
  check.visit({ schema: root, path, root: true, count: 1, unrelated: undefined });
  return [...check.errors, ...check.totalErrors(path)];
}

class RuleCheck {
  readonly errors: FieldError[] = [];
  readonly #judgeCosts: boolean;
  readonly #costs: { readonly field: string; readonly cost: number }[] = [];

  constructor(judgeCosts: boolean) {
    this.#judgeCosts = judgeCosts;
  }

  /** Returns whether the rules at the place and below are well formed. */
  visit(node: Node): boolean {
    const below = childrenOf(node).map((child) => this.visit(child));
    const rules = objectsAt(node.schema, RULES);
    const malformed = rules.flatMap((rule, index) =>
      shapeErrors(rule, node.schema, `${node.path}.${RULES}[${index}]`),
    );
    this.errors.push(...malformed);
    if (malformed.length > 0 || below.includes(false)) return false;
    const self = rules.length > 0 ? schemaType(node.schema, SELF_TYPE, isResource(node)) : undefined;
    for (const [index, rule] of rules.entries())
      if (self) this.#rule(rule, `${node.path}.${RULES}[${index}]`, self, node);
    return true;
  }

  /** All rules together: the dearest are named. */
  totalErrors(path: string): FieldError[] {
    const total = this.#costs.reduce((sum, { cost }) => Math.min(sum + cost, UNBOUNDED), 0);
    if (total <= CRD_COST_MAX) return [];
    const text = 'contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema';
    const dear = this.#costs.filter(({ cost }) => cost >= CRD_COST_MAX / 100);
    const dearest = dear.toSorted((a, b) => b.cost - a.cost).slice(0, 4);
    const what = 'x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema';
    return [
      ...dearest.map(({ field }) => forbidden(field, text)),
      forbidden(path, exceeded(what, total, CRD_COST_MAX)),
    ];
  }

  #rule(rule: JsonObject, path: string, self: ValueType, node: Node): void {
    const optional = rule['optionalOldSelf'] === true;
    const variables = new Map<string, CelType>([
      ['self', self.type],
      ['oldSelf', optional ? optionalOf(self.type) : self.type],
    ]);
    const text = stringAt(rule, 'rule');
    const made = checkCel(text, variables);
    if (!made.ok || !sameType(made.type, BOOL)) {
      const why = made.ok ? 'cel expression must evaluate to a bool' : `compilation failed: ${made.message}`;
      this.errors.push(wrongRule(`${path}.rule`, rule, why));
    } else {
      this.#judge(`${path}.rule`, 'estimated rule cost', maxCost(made.typed, self) * timesOf(node, self));
      this.#message(rule, `${path}.messageExpression`, variables, self);
    }
    const transition = made.ok && readsVariable(made.typed.expression, 'oldSelf');
    if (transition && node.unrelated !== undefined) {
      const why = `oldSelf cannot be used on the uncorrelatable portion of the schema within ${node.unrelated}`;
      this.errors.push(invalid(`${path}.rule`, text, why));
    }
    if (!transition && rule['optionalOldSelf'] !== undefined) {
      const why = 'may not be set if oldSelf is not used in rule';
      this.errors.push(invalid(`${path}.optionalOldSelf`, rule['optionalOldSelf'], why));
    }
  }

  #message(rule: JsonObject, field: string, variables: ReadonlyMap<string, CelType>, self: ValueType): void {
    const text = stringAt(rule, 'messageExpression');
    if (text === '') return;
    const made = checkCel(text, variables);
    if (made.ok && sameType(made.type, STRING)) {
      this.#judge(field, 'estimated messageExpression cost', maxCost(made.typed, self));
      return;
    }
    const why = made.ok ? 'must evaluate to a string' : `compilation failed: ${made.message}`;
    this.errors.push(wrongRule(field, rule, `messageExpression ${why}`));
  }

  #judge(field: string, what: string, estimated: number): void {
    const cost = Math.min(estimated, UNBOUNDED);
    if (this.#judgeCosts && cost > RULE_COST_MAX)
      this.errors.push(forbidden(field, exceeded(what, cost, RULE_COST_MAX)));
    this.#costs.push({ field, cost });
  }
}

/** How often a rule may run for one object: what the schema says, or what fits into a request. */
function timesOf({ count }: Node, { minBytes }: ValueType): number {
  return count ?? Math.floor(REQUEST_MAX_BYTES / (minBytes + 1));
}

const isResource = ({ root, schema }: Node): boolean =>
  root || schema['x-kubernetes-embedded-resource'] === true;

function childrenOf({ schema, path, count, unrelated }: Node): Node[] {
  const children: Node[] = [];
  const add = (child: unknown, at: string, most: number | undefined, apart = false): void => {
    if (!isObject(child)) return;
    const times = count === undefined || most === undefined ? undefined : Math.min(count * most, UNBOUNDED);
    const parent = unrelated ?? (apart ? path : undefined);
    children.push({ schema: child, path: `${path}.${at}`, root: false, count: times, unrelated: parent });
  };
  add(schema['additionalProperties'], 'additionalProperties', numberAt(schema, 'maxProperties'));
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  for (const [name, child] of Object.entries(properties)) add(child, `properties[${name}]`, 1);
  const keyed = schema['x-kubernetes-list-type'] === 'map';
  add(schema['items'], 'items', numberAt(schema, 'maxItems'), !keyed);
  return children;
}

/** What is wrong with a rule before its expressions are looked at. */
function shapeErrors(rule: JsonObject, schema: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const message = stringAt(rule, 'message');
  const text = stringAt(rule, 'rule').trim();
  if (text === '') errors.push(required(`${path}.rule`, 'rule is not specified'));
  else if (message !== '' && message.trim() === '')
    errors.push(invalid(`${path}.message`, message, 'must be non-empty if specified'));
  else if (LINE_BREAK.test(message.trim()))
    errors.push(invalid(`${path}.message`, message, 'must not contain line breaks'));
  else if (LINE_BREAK.test(text) && message === '')
    errors.push(required(`${path}.message`, 'message must be specified if rule contains line breaks'));
  const expression = stringAt(rule, 'messageExpression');
  if (expression !== '' && expression.trim() === '')
    errors.push(required(`${path}.messageExpression`, 'messageExpression must be non-empty if specified'));
  const reason = rule['reason'];
  if (reason !== undefined && !(typeof reason === 'string' && REASONS.includes(reason)))
    errors.push(notSupported(`${path}.reason`, reason, REASONS));
  return [...errors, ...fieldPathErrors(rule, schema, `${path}.fieldPath`)];
}

function fieldPathErrors(rule: JsonObject, schema: JsonObject, field: string): FieldError[] {
  const path = stringAt(rule, 'fieldPath');
  if (path === '') return [];
  const errors: FieldError[] = [];
  if (path.trim() === '') errors.push(invalid(field, path, 'must be non-empty if specified'));
  if (LINE_BREAK.test(path)) errors.push(invalid(field, path, 'must not contain line breaks'));
  if (!fieldAt(schema, path)) errors.push(invalid(field, path, 'must be a valid path'));
  return errors;
}

/** The rule stands in the message as Go writes it. */
function wrongRule(field: string, rule: JsonObject, why: string): FieldError {
  const shown = {
    Rule: stringAt(rule, 'rule'),
    Message: stringAt(rule, 'message'),
    MessageExpression: stringAt(rule, 'messageExpression'),
    Reason: rule['reason'] ?? null,
    FieldPath: stringAt(rule, 'fieldPath'),
    OptionalOldSelf: rule['optionalOldSelf'] ?? null,
  };
  const text = JSON.stringify(shown).replace(/[<>&]/g, (one) => `\\u00${one.charCodeAt(0).toString(16)}`);
  return { reason: 'FieldValueInvalid', field, message: `Invalid value: ${text}: ${why}` };
}

function exceeded(what: string, cost: number, most: number): string {
  const factor = cost / most;
  const shown = factor > 100 ? 'more than 100' : factor < 1.5 ? factor.toFixed(6) : factor.toFixed(1);
  return `${what} exceeds budget by factor of ${shown}x (${TOO_COSTLY})`;
}
