import type { TypedExpression } from './checker.ts';
import { callEstimate } from './call-cost.ts';
import type { CostNode } from './call-site.ts';
import { type Estimate, fixed, NOTHING, product, sum, union, UNBOUNDED, UNKNOWN } from './estimate.ts';
import { ACCUMULATOR, type Expression, type ExpressionOf } from './expression.ts';
import { type CelType, isOptional, lastParam } from './type.ts';
import { below, type ValueType } from './value-type.ts';

const LIST_COST = fixed(10);
const MAP_COST = fixed(30);
const STEP = fixed(1);

/**
 * The most steps an expression may take over values of a type (KEP-2876, "Resource constraints by estimated cost").
 * @param root what the variables `self` and `oldSelf` are
 */
export function maxCost(typed: TypedExpression, root: ValueType): number {
  return new Coster(typed, root).cost(typed.expression).max;
}

/** Sizes of what is in a container. */
interface EntrySizes {
  readonly container: 'list' | 'map';
  readonly key: Estimate;
  readonly value: Estimate;
}

interface Local {
  readonly path: readonly string[] | undefined;
  readonly size: Estimate | undefined;
  readonly entries: EntrySizes | undefined;
}

/** Walks an expression in the order it runs, keeping what is known of sizes and where values come from. */
class Coster {
  readonly #typed: TypedExpression;
  readonly #root: ValueType;
  readonly #costs = new Map<Expression, Estimate>();
  readonly #paths = new Map<Expression, readonly string[]>();
  readonly #sizes = new Map<Expression, Estimate>();
  readonly #entries = new Map<Expression, EntrySizes>();
  readonly #locals = new Map<string, Local[]>();

  constructor(typed: TypedExpression, root: ValueType) {
    this.#typed = typed;
    this.#root = root;
  }

  cost(node: Expression): Estimate {
    const cost = this.#costs.get(node) ?? this.#costOf(node);
    this.#costs.set(node, cost);
    return cost;
  }

  #costOf(node: Expression): Estimate {
    switch (node.type) {
      case 'literal':
        return NOTHING;
      case 'ident':
        if (!this.#local(node.name)) this.#paths.set(node, [node.name]);
        return STEP;
      case 'select':
        return this.#select(node);
      case 'call':
        return this.#call(node);
      case 'list':
        return this.#list(node);
      case 'map':
        return this.#map(node);
      case 'comprehension':
        return isBinding(node) ? this.#bind(node) : this.#loop(node);
    }
  }

  #select(node: ExpressionOf<'select'>): Estimate {
    const operand = this.cost(node.operand);
    if (node.test) return operand;
    this.#paths.set(node, [...(this.#pathOf(node.operand) ?? []), node.field]);
    const { kind } = this.#typed.typeOf(node.operand);
    return kind === 'map' || kind === 'struct' || kind === 'param' ? sum(operand, STEP) : operand;
  }

  #call(node: ExpressionOf<'call'>): Estimate {
    if (node.name === 'dyn') return this.#dyn(node);
    const costs = node.args.map((arg) => this.cost(arg));
    const args = node.args.map((arg) => this.#costNode(arg));
    const target = node.target && this.cost(node.target);
    const targetNode = node.target && this.#costNode(node.target);
    let total: Estimate = { min: UNBOUNDED, max: 0 };
    let size: Estimate | undefined;
    for (const overload of this.#typed.overloadsOf(node)) {
      const estimate = callEstimate({
        name: node.name,
        overload,
        target: targetNode,
        args,
        costs,
        sizeAt: (path) => this.#sizeAt(path),
      });
      total = union(total, estimate.cost);
      if (estimate.size) size = size ? union(size, estimate.size) : estimate.size;
      this.#keepEntries(node, overload);
      if (overload === 'index_list' || overload === 'index_map') size = this.#index(node, overload);
      size ??= this.#sizeOf(node);
    }
    if (size) this.#sizes.set(node, size);
    return sum(target ?? NOTHING, total);
  }

  #dyn(node: ExpressionOf<'call'>): Estimate {
    const [arg] = node.args;
    if (!arg) return STEP;
    const cost = this.cost(arg);
    this.#copySizes(node, arg);
    return sum(STEP, cost);
  }

  /** What comes out of a choice or of two lists put together has items of both. */
  #keepEntries(node: ExpressionOf<'call'>, overload: string): void {
    const isSum = overload === 'add_string' || overload === 'add_bytes' || overload === 'add_list';
    if (!isSum && overload !== 'conditional') return;
    const [a, b] = node.args.slice(-2).map((arg) => this.#entriesOf(arg));
    if (!a || !b) return;
    const entries = { container: a.container, key: union(a.key, b.key), value: union(a.value, b.value) };
    this.#entries.set(node, entries);
  }

  #index(node: ExpressionOf<'call'>, overload: string): Estimate | undefined {
    const [container] = node.args;
    if (!container) return undefined;
    const step = overload === 'index_list' ? '@items' : '@values';
    this.#paths.set(node, [...(this.#pathOf(container) ?? []), step]);
    return this.#entriesOf(container)?.value;
  }

  #list(node: ExpressionOf<'list'>): Estimate {
    const costs = node.items.map((item) => this.cost(item));
    const value = this.#unionOf(node.items);
    this.#entries.set(node, { container: 'list', key: fixed(1), value });
    return sum(...costs, LIST_COST);
  }

  #map(node: ExpressionOf<'map'>): Estimate {
    const costs = node.entries.flat().map((part) => this.cost(part));
    const key = this.#unionOf(node.entries.map((entry) => entry[0]));
    const value = this.#unionOf(node.entries.map((entry) => entry[1]));
    this.#entries.set(node, { container: 'map', key, value });
    return sum(...costs, MAP_COST);
  }

  #unionOf(items: readonly Expression[]): Estimate {
    const start = { min: items.length === 0 ? 0 : UNBOUNDED, max: 0 };
    return items.reduce<Estimate>((all, item) => union(all, this.#sizeOf(item) ?? UNKNOWN), start);
  }

  #loop(node: ExpressionOf<'comprehension'>): Estimate {
    const before = sum(this.cost(node.range), this.cost(node.init));
    this.#push(node.accumulator, this.#localOf(node.init));
    for (const [index, name] of node.variables.entries()) this.#push(name, this.#variable(node, index));
    const turn = sum(this.cost(node.condition), this.cost(node.step));
    for (const name of node.variables) this.#locals.get(name)?.pop();
    const result = this.cost(node.result);
    this.#locals.get(node.accumulator)?.pop();
    const count = this.#sizeOf(node.range) ?? UNKNOWN;
    this.#keepSize(node, count);
    return sum(before, result, product(count, turn));
  }

  #keepSize(node: ExpressionOf<'comprehension'>, count: Estimate): void {
    const { init, step } = node;
    if (init.type === 'literal') {
      const size = this.#sizeOf(init);
      if (size) this.#sizes.set(node, size);
    }
    if (init.type !== 'list' && init.type !== 'map') return;
    this.#sizes.set(node, count);
    const entries = this.#entriesOf(step);
    if (entries) this.#entries.set(node, entries);
  }

  /** The variable of a loop: item or key; of two, the first is the index or key, the second the value. */
  #variable({ range, variables }: ExpressionOf<'comprehension'>, index: number): Local {
    const entries = this.#entriesOf(range);
    const isList = (entries?.container ?? this.#typed.typeOf(range).kind) === 'list';
    const isValue = variables.length === 2 ? index === 1 : isList;
    const valueStep = isList ? '@items' : '@values';
    const keyStep = isList ? '@indices' : '@keys';
    return {
      path: [...(this.#pathOf(range) ?? []), isValue ? valueStep : keyStep],
      size: isValue ? entries?.value : entries?.key,
      entries: undefined,
    };
  }

  #bind(node: ExpressionOf<'comprehension'>): Estimate {
    const before = sum(this.cost(node.range), this.cost(node.init));
    this.#push(node.accumulator, this.#localOf(node.init));
    const result = this.cost(node.result);
    this.#locals.get(node.accumulator)?.pop();
    this.#copySizes(node, node.result);
    return sum(before, result);
  }

  #localOf(value: Expression): Local {
    return { path: this.#pathOf(value), size: this.#sizeOf(value), entries: this.#entriesOf(value) };
  }

  #push(name: string, local: Local): void {
    const stack = this.#locals.get(name);
    if (stack) stack.push(local);
    else this.#locals.set(name, [local]);
  }

  #local(name: string): Local | undefined {
    return this.#locals.get(name)?.at(-1);
  }

  #pathOf(node: Expression): readonly string[] | undefined {
    const local = node.type === 'ident' ? this.#local(node.name) : undefined;
    return local ? local.path : this.#paths.get(node);
  }

  #costNode(node: Expression): CostNode {
    const path = this.#pathOf(node);
    return {
      path: path?.[0] === ACCUMULATOR ? undefined : path,
      type: this.#typed.typeOf(node),
      size: this.#sizeOf(node),
      expression: node,
    };
  }

  #copySizes(to: Expression, from: Expression): void {
    const size = this.#sizeOf(from);
    if (size) this.#sizes.set(to, size);
    const entries = this.#entriesOf(from);
    if (entries) this.#entries.set(to, entries);
  }

  #sizeOf(node: Expression): Estimate | undefined {
    const known = this.#sizes.get(node) ?? literalSize(node);
    if (known) return known;
    const declared = this.#sizeAt(this.#pathOf(node) ?? []);
    if (declared) {
      this.#sizes.set(node, declared);
      return declared;
    }
    if (isFixedSize(this.#typed.typeOf(node))) return fixed(1);
    return node.type === 'ident' ? this.#local(node.name)?.size : undefined;
  }

  /** What the schema says of the size at a path; the first step is the name of a variable. */
  #sizeAt([variable, ...steps]: readonly string[]): Estimate | undefined {
    if (variable === undefined) return undefined;
    let value: ValueType | undefined = this.#root;
    for (const step of steps) value = value && below(value, step);
    return value && { min: 0, max: value.maxSize };
  }

  #entriesOf(node: Expression): EntrySizes | undefined {
    const known = this.#entries.get(node);
    if (known) return known;
    return node.type === 'ident' ? this.#local(node.name)?.entries : undefined;
  }
}

function isBinding({ range, condition, accumulator }: ExpressionOf<'comprehension'>): boolean {
  const never = condition.type === 'literal' && condition.value === false;
  return never && range.type === 'list' && range.items.length === 0 && accumulator !== '__result__';
}

/** Known from how the value is written. */
function literalSize(node: Expression): Estimate | undefined {
  if (node.type === 'list') return fixed(node.items.length);
  if (node.type === 'map') return fixed(node.entries.length);
  if (node.type !== 'literal') return undefined;
  const { value } = node;
  if (typeof value === 'string') return fixed(Array.from(value).length);
  return fixed(value instanceof Uint8Array ? value.length : 1);
}

function isFixedSize(type: CelType): boolean {
  if (isOptional(type)) return isFixedSize(lastParam(type));
  return type.kind === 'scalar' && type.name !== 'string' && type.name !== 'bytes';
}
