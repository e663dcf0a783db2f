import type { SourceError } from '../source-errors.ts';
import { overloadsOf } from './declarations.ts';
import type { Expression, ExpressionOf } from './expression.ts';
import {
  BOOL,
  type CelType,
  DYN,
  ERROR,
  formatType,
  INT,
  isOptional,
  lastParam,
  listOf,
  mapOf,
  optionalOf,
  sameType,
  STRING,
  typeParam,
} from './type.ts';
import { isDynOrError, mostGeneral, substituted, type Substitutions, unify } from './unification.ts';

/** Types of all parts of an expression, and what its calls may turn out to be. */
export interface TypedExpression {
  readonly expression: Expression;
  readonly typeOf: (part: Expression) => CelType;
  /** Overloads a call may take; several when its arguments are known only at run time. */
  readonly overloadsOf: (part: Expression) => readonly string[];
}

/** Finds the types of an expression (cel-spec langdef, "Gradual Type Checking"). */
export function checkTypes(
  expression: Expression,
  variables: ReadonlyMap<string, CelType>,
): { readonly typed: TypedExpression; readonly errors: readonly SourceError[] } {
  const checker = new Checker();
  checker.check(expression, variables);
  return { typed: checker.result(expression), errors: checker.errors };
}

type Variables = ReadonlyMap<string, CelType>;

class Checker {
  readonly errors: SourceError[] = [];
  readonly #types = new Map<Expression, CelType>();
  readonly #overloads = new Map<Expression, readonly string[]>();
  readonly #subs = new Map<string, CelType>();
  #fresh = 0;

  result(expression: Expression): TypedExpression {
    return {
      expression,
      typeOf: (part) => substituted(this.#subs, this.#types.get(part) ?? DYN, DYN),
      overloadsOf: (part) => this.#overloads.get(part) ?? [],
    };
  }

  check(node: Expression, variables: Variables): CelType {
    // What a macro uses twice is one node, always within reach of the same variables.
    const known = this.#types.get(node);
    if (known) return known;
    const type = this.#typeOf(node, variables);
    this.#types.set(node, type);
    return type;
  }

  #typeOf(node: Expression, variables: Variables): CelType {
    switch (node.type) {
      case 'literal':
        return node.of;
      case 'ident':
        return variables.get(node.name) ?? this.#undeclared(node.at, node.name);
      case 'select': {
        const type = this.#field(node, node.operand, node.field, false, variables);
        return node.test ? BOOL : substituted(this.#subs, type);
      }
      case 'call':
        return this.#call(node, variables);
      case 'list':
        return listOf(this.#joined(node.items, variables));
      case 'map': {
        const keys = node.entries.map(([key]) => key);
        const values = node.entries.map(([, value]) => value);
        return mapOf(this.#joined(keys, variables), this.#joined(values, variables));
      }
      case 'comprehension':
        return this.#comprehension(node, variables);
    }
  }

  #error(at: number, message: string): CelType {
    this.errors.push({ at, message });
    return ERROR;
  }

  #undeclared(at: number, name: string): CelType {
    return this.#error(at, `undeclared reference to '${name}' (in container '')`);
  }

  #mismatch(at: number, wanted: CelType, found: CelType): CelType {
    return this.#error(at, `expected type '${formatType(wanted)}' but found '${formatType(found)}'`);
  }

  #newParam(): CelType {
    return typeParam(`_var${this.#fresh++}`);
  }

  #unify(given: readonly CelType[], wanted: readonly CelType[]): boolean {
    return unify(this.#subs, given, wanted);
  }

  #field(
    { at }: Expression,
    operand: Expression,
    field: string,
    optional: boolean,
    variables: Variables,
  ): CelType {
    const given = substituted(this.#subs, this.check(operand, variables));
    const target = isOptional(given) ? lastParam(given) : given;
    const found = this.#fieldOf(target, field, at);
    return optional || isOptional(given) ? optionalOf(found) : found;
  }

  #fieldOf(target: CelType, field: string, at: number): CelType {
    if (target.kind === 'map') return lastParam(target);
    if (target.kind === 'struct') {
      const known = target.fields?.get(field);
      if (known) return known;
      const why = target.fields
        ? `undefined field '${field}'`
        : `unexpected failed resolution of '${target.name}'`;
      return this.#error(at, why);
    }
    if (target.kind === 'param') this.#unify([DYN], [target]);
    else if (!isDynOrError(target))
      this.#error(at, `type '${formatType(target)}' does not support field selection`);
    return DYN;
  }

  #call(node: ExpressionOf<'call'>, variables: Variables): CelType {
    const { name, target, args } = node;
    if (name === '_?._') return this.#optionalSelect(node, variables);
    const given = args.map((arg) => this.check(arg, variables));
    if (target) given.unshift(this.check(target, variables));
    if (!overloadsOf(name)) return this.#undeclared(node.at, name);
    return name === '_&&_' || name === '_||_' ? this.#logical(node, given) : this.#resolve(node, given);
  }

  #optionalSelect(node: ExpressionOf<'call'>, variables: Variables): CelType {
    const [operand, field] = node.args;
    if (!operand || field?.type !== 'literal') return ERROR;
    this.#types.set(field, STRING);
    this.#overloads.set(node, ['select_optional_field']);
    const type = this.#field(node, operand, String(field.value), true, variables);
    return substituted(this.#subs, type);
  }

  #logical(node: ExpressionOf<'call'>, given: readonly CelType[]): CelType {
    this.#overloads.set(node, [node.name === '_&&_' ? 'logical_and' : 'logical_or']);
    let type = BOOL;
    for (const [index, one] of given.entries()) {
      if (!this.#unify([one], [BOOL])) type = this.#mismatch(node.args[index]?.at ?? node.at, BOOL, one);
    }
    return type;
  }

  /** The result of all overloads that take the arguments; `dyn` when they differ. */
  #resolve(node: ExpressionOf<'call'>, given: readonly CelType[]): CelType {
    const taken: string[] = [];
    let result: CelType | undefined;
    for (const overload of overloadsOf(node.name) ?? []) {
      if (overload.member !== (node.target !== undefined)) continue;
      const own: Substitutions = new Map(overload.params.map((param) => [param, this.#newParam()]));
      const wanted = overload.args.map((arg) => substituted(own, arg));
      if (!this.#unify(given, wanted)) continue;
      taken.push(overload.id);
      const type = substituted(this.#subs, substituted(own, overload.result));
      if (!result) result = type;
      else if (result.kind !== 'dyn' && !sameType(result, type)) result = DYN;
    }
    this.#overloads.set(node, taken);
    return result ?? this.#noOverload(node, given);
  }

  #noOverload(node: ExpressionOf<'call'>, given: readonly CelType[]): CelType {
    const types = given.map((type) => formatType(substituted(this.#subs, type, DYN)));
    const receiver = node.target ? `${types.shift() ?? ''}.` : '';
    const signature = `${receiver}(${types.join(', ')})`;
    return this.#error(node.at, `found no matching overload for '${node.name}' applied to '${signature}'`);
  }

  /** The type of items, keys or values that stand beside one another; `dyn` when they are mixed. */
  #joined(items: readonly Expression[], variables: Variables): CelType {
    let joined: CelType | undefined;
    for (const item of items) {
      const type = this.check(item, variables);
      if (!joined) joined = type;
      else if (this.#unify([joined], [type])) joined = mostGeneral(joined, type);
      else joined = DYN;
    }
    return joined ?? this.#newParam();
  }

  #comprehension(node: ExpressionOf<'comprehension'>, variables: Variables): CelType {
    const range = substituted(this.#subs, this.check(node.range, variables));
    const accumulated = this.check(node.init, variables);
    const outer = new Map(variables).set(node.accumulator, accumulated);
    const inner = new Map(outer);
    const types = this.#loopTypes(node, range);
    for (const [index, name] of node.variables.entries()) inner.set(name, types[index] ?? DYN);
    this.#assert(node.condition, BOOL, inner);
    this.#assert(node.step, accumulated, inner);
    return substituted(this.#subs, this.check(node.result, outer));
  }

  #assert(node: Expression, wanted: CelType, variables: Variables): void {
    const found = this.check(node, variables);
    if (!this.#unify([wanted], [found])) this.#mismatch(node.at, wanted, found);
  }

  /** Types of the variables of a loop over `range`. */
  #loopTypes(node: ExpressionOf<'comprehension'>, range: CelType): readonly CelType[] {
    const two = node.variables.length === 2;
    if (range.kind === 'list') return two ? [INT, lastParam(range)] : range.params;
    if (range.kind === 'map') return two ? range.params : range.params.slice(0, 1);
    if (isDynOrError(range) || range.kind === 'param') {
      this.#unify([DYN], [range]);
      return [DYN, DYN];
    }
    const text = `expression of type '${formatType(range)}' cannot be range of a comprehension`;
    this.#error(node.range.at, `${text} (must be list, map, or dynamic)`);
    return [ERROR, ERROR];
  }
}
