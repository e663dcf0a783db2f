import { CelBudget } from '../cel/budget.ts';
import { CEL_OBJECT_STEPS_MAX } from '../cel/limits.ts';
import { type CelProgram, compileCel } from '../cel/program.ts';
import { celFromJson, CelOptional, type CelValue } from '../cel/values.ts';
import { duplicate, type FieldError, forbidden, invalid, required } from '../field-error.ts';
import { arrayAt, equalJson, isObject, type JsonObject, objectsAt, stringAt } from '../json-value.ts';
import { MAX_FIELD_ERRORS } from '../limits.ts';
import type { Schema } from '../schema/schema.ts';
import { childPath, type Place } from './schema-rules.ts';

const RULES = 'x-kubernetes-validations';

interface Rule {
  readonly text: string;
  readonly program: CelProgram;
  readonly message: string;
  readonly messageProgram: CelProgram | undefined;
  readonly reason: string;
  /** Where the error is told, below the place of the rule. */
  readonly fieldPath: string;
  readonly transition: boolean;
  readonly optionalOldSelf: boolean;
}

const compiled = new WeakMap<JsonObject, readonly Rule[]>();
const withRules = new WeakMap<JsonObject, boolean>();

const VARIABLES: ReadonlySet<string> = new Set(['self', 'oldSelf']);

function rulesOf(node: JsonObject): readonly Rule[] {
  let rules = compiled.get(node);
  if (!rules) {
    rules = objectsAt(node, RULES).flatMap(ruleOf);
    compiled.set(node, rules);
  }
  return rules;
}

/** Empty for a rule that does not compile: its definition was stored before rules were checked. */
function ruleOf(source: JsonObject): Rule[] {
  const text = stringAt(source, 'rule');
  const made = compileCel(text, VARIABLES);
  if (!made.ok) return [];
  const expression = stringAt(source, 'messageExpression');
  const message = expression ? compileCel(expression, VARIABLES) : undefined;
  return [
    {
      text,
      program: made.program,
      message: stringAt(source, 'message').trim() || `failed rule: ${text.trim()}`,
      messageProgram: message?.ok ? message.program : undefined,
      reason: stringAt(source, 'reason'),
      fieldPath: stringAt(source, 'fieldPath'),
      transition: made.program.reads.has('oldSelf'),
      optionalOldSelf: source['optionalOldSelf'] === true,
    },
  ];
}

function hasRules(node: JsonObject): boolean {
  let found = withRules.get(node);
  if (found === undefined) {
    const children = [
      ...Object.values(isObject(node['properties']) ? node['properties'] : {}),
      node['items'],
      node['additionalProperties'],
    ];
    found = arrayAt(node, RULES).length > 0 || children.some((child) => isObject(child) && hasRules(child));
    withRules.set(node, found);
  }
  return found;
}

/** Evaluates the CEL rules of a schema over an object that fits the schema. Bounded; never throws. */
export function validateByRules(place: Place, node: JsonObject, schema: Schema, errors: FieldError[]): void {
  if (!hasRules(node)) return;
  const walk = new RuleWalk(errors);
  walk.visit(place, node, schema);
}

class RuleWalk {
  readonly #budget = new CelBudget(CEL_OBJECT_STEPS_MAX);
  readonly #errors: FieldError[];
  #ended = false;

  constructor(errors: FieldError[]) {
    this.#errors = errors;
  }

  visit(place: Place, node: JsonObject, schema: Schema): void {
    if (this.#ended || !hasRules(node) || this.#errors.length >= MAX_FIELD_ERRORS) return;
    const { value, old } = place;
    if (value === null || value === undefined || (old !== undefined && equalJson(value, old))) return;
    const rules = rulesOf(node);
    if (rules.length > 0) this.#evaluate(rules, place, node, schema);
    if (Array.isArray(value)) this.#items(value as unknown[], place, node, schema);
    else if (isObject(value)) this.#fields(value, place, node, schema);
  }

  #evaluate(rules: readonly Rule[], { value, old, path }: Place, node: JsonObject, schema: Schema): void {
    const self = celFromJson(value, schema);
    const oldSelf = old === undefined ? undefined : celFromJson(old, schema);
    for (const rule of rules) {
      if (this.#ended) return;
      if (rule.transition && oldSelf === undefined && !rule.optionalOldSelf) continue;
      const variables = { self, oldSelf: rule.optionalOldSelf ? new CelOptional(oldSelf) : oldSelf };
      const result = rule.program.evaluate(variables, this.#budget);
      if (result.ok && result.value === true) continue;
      const type = stringAt(node, 'type') || 'object';
      if (result.ok) {
        this.#errors.push(failure(rule, path, type, this.#message(rule, variables)));
        continue;
      }
      this.#errors.push(invalid(path || '<nil>', type, trouble(rule, result)));
      this.#ended = result.outOfBudget;
    }
  }

  #message(rule: Rule, variables: Readonly<Record<string, CelValue | undefined>>): string {
    const made = rule.messageProgram?.evaluate(variables, this.#budget);
    return made?.ok && typeof made.value === 'string' && made.value.trim() !== '' ? made.value : rule.message;
  }

  #items(value: readonly unknown[], { old, path }: Place, node: JsonObject, schema: Schema): void {
    const { items } = node;
    const itemSchema = schema.items();
    if (!isObject(items) || !itemSchema || !hasRules(items)) return;
    const before = keyedItems(old, schema);
    for (const [index, one] of value.entries()) {
      const was = before?.get(keyOf(one, schema));
      this.visit({ value: one, old: was, path: `${path}[${index}]` }, items, itemSchema);
    }
  }

  #fields(value: JsonObject, { old, path }: Place, node: JsonObject, schema: Schema): void {
    const properties = isObject(node['properties']) ? node['properties'] : {};
    const before = isObject(old) ? old : {};
    for (const name of Object.keys(value)) {
      const child = Object.hasOwn(properties, name) ? properties[name] : node['additionalProperties'];
      const known = schema.field(name);
      if (!isObject(child) || !known) continue;
      this.visit({ value: value[name], old: before[name], path: childPath(path, name) }, child, known);
    }
  }
}

function trouble(rule: Rule, result: { readonly message: string; readonly outOfBudget: boolean }): string {
  if (result.outOfBudget) {
    return 'validation failed due to running out of cost budget, no further validation rules will be run';
  }
  return `${result.message} evaluating rule: ${rule.message}`;
}

function failure(rule: Rule, path: string, type: string, message: string): FieldError {
  const field = `${path}${rule.fieldPath}`.replace(/^\./, '') || '<nil>';
  switch (rule.reason) {
    case 'FieldValueForbidden':
      return forbidden(field, message);
    case 'FieldValueRequired':
      return required(field, message);
    case 'FieldValueDuplicate':
      return duplicate(field, type);
    default:
      return invalid(field, type, message);
  }
}

/** Old items by their map keys: only those are known to be the same item as a new one. */
function keyedItems(old: unknown, schema: Schema): Map<string, unknown> | undefined {
  if (!Array.isArray(old) || schema.listType !== 'map') return undefined;
  return new Map((old as unknown[]).map((one) => [keyOf(one, schema), one]));
}

function keyOf(item: unknown, schema: Schema): string {
  return JSON.stringify(schema.listMapKeys.map((key) => (isObject(item) ? (item[key] ?? null) : null)));
}
