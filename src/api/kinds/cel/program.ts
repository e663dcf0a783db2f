import { CelBudget, CelBudgetError, CelError, sourceErrors } from './budget.ts';
import { FUNCTIONS, NAMESPACES } from './functions.ts';
import { CEL_EXPRESSION_STEPS_MAX } from './limits.ts';
import { compileMacro } from './macros.ts';
import { fieldOf, mapKey, type Scope, type Step, truth } from './scope.ts';
import { BINARY, checkedInt, mapGet } from './operators.ts';
import { type CelNode, parseCel } from './parser.ts';
import { located } from './source-errors.ts';
import {
  CelDuration,
  type CelKey,
  type CelMap,
  CelOptional,
  CelType,
  type CelValue,
  jsonFromCel,
  typeName,
} from './values.ts';

export type CelResult =
  | { readonly ok: true; readonly value: CelValue }
  | { readonly ok: false; readonly message: string; readonly outOfBudget: boolean };

/** A compiled expression. `evaluate` never throws and takes a bounded number of steps. */
export interface CelProgram {
  /** The declared variables the expression reads. */
  readonly reads: ReadonlySet<string>;
  evaluate(variables: Readonly<Record<string, CelValue | undefined>>, budget?: CelBudget): CelResult;
}

export type CelCompilation =
  | { readonly ok: true; readonly program: CelProgram }
  | { readonly ok: false; readonly message: string };

/**
 * Compiles an expression of the Common Expression Language (cel-spec langdef) with Kubernetes' libraries.
 * Types are not looked at: check/ does that before an expression is kept.
 * @param declared names of variables
 */
export function compileCel(source: string, declared: ReadonlySet<string>): CelCompilation {
  try {
    const node = parseCel(source);
    const slots = { count: 0 };
    const reads = new Set<string>();
    const run = compile(node, { declared, locals: new Map(), slots });
    collectReads(node, declared, reads);
    return { ok: true, program: { reads, evaluate: evaluator(run, slots.count) } };
  } catch (error) {
    if (!(error instanceof CelError)) throw error;
    return { ok: false, message: located(source, sourceErrors(error)) };
  }
}

function evaluator(run: Step, slotCount: number): CelProgram['evaluate'] {
  return (variables, budget = new CelBudget(CEL_EXPRESSION_STEPS_MAX)) => {
    try {
      const slots = Array.from<CelValue>({ length: slotCount }).fill(null);
      return { ok: true, value: run({ variables, slots, budget }) };
    } catch (error) {
      if (error instanceof CelError) {
        return { ok: false, message: error.message, outOfBudget: error instanceof CelBudgetError };
      }
      throw error;
    }
  };
}

function collectReads(node: CelNode, declared: ReadonlySet<string>, reads: Set<string>): void {
  const visit = (one: CelNode): void => collectReads(one, declared, reads);
  switch (node.type) {
    case 'ident':
      if (declared.has(node.name)) reads.add(node.name);
      return;
    case 'select':
      return visit(node.target);
    case 'index':
      visit(node.target);
      return visit(node.index);
    case 'call':
      if (node.target) visit(node.target);
      return node.args.forEach(visit);
    case 'list':
      return node.items.forEach(visit);
    case 'map':
      return node.entries.forEach((entry) => entry.forEach(visit));
    case 'unary':
      return visit(node.operand);
    case 'binary':
      visit(node.left);
      return visit(node.right);
    case 'ternary':
      visit(node.condition);
      visit(node.yes);
      return visit(node.no);
    case 'literal':
      return undefined;
  }
}

const TYPES: ReadonlyMap<string, CelType> = new Map(
  ['bool', 'bytes', 'double', 'int', 'list', 'map', 'null_type', 'string', 'type', 'uint', 'dyn'].map(
    (name) => [name, new CelType(name === 'uint' ? 'int' : name)],
  ),
);

function compile(node: CelNode, scope: Scope): Step {
  switch (node.type) {
    case 'literal':
      return () => node.value;
    case 'ident':
      return identifier(node.name, node.at, scope);
    case 'select':
      return selection(node, scope);
    case 'index':
      return indexing(node, scope);
    case 'call':
      return call(node, scope);
    case 'list': {
      const items = node.items.map((one) => compile(one, scope));
      return (frame) => {
        frame.budget.spend(1 + items.length);
        return items.map((item) => item(frame));
      };
    }
    case 'map':
      return mapping(node, scope);
    case 'unary':
      return unary(node, scope);
    case 'binary':
      return binary(node, scope);
    case 'ternary': {
      const [condition, yes, no] = [node.condition, node.yes, node.no].map((one) => compile(one, scope));
      return (frame) => (truth(condition!(frame)) ? yes!(frame) : no!(frame));
    }
  }
}

function identifier(name: string, at: number, scope: Scope): Step {
  const slot = scope.locals.get(name);
  if (slot !== undefined) {
    return ({ slots, budget }) => {
      budget.spend(1);
      return slots[slot] ?? null;
    };
  }
  if (scope.declared.has(name)) {
    return ({ variables, budget }) => {
      budget.spend(1);
      return variables[name] ?? null;
    };
  }
  const type = TYPES.get(name);
  if (type) return () => type;
  throw new CelError(`undeclared reference to '${name}' (in container '')`, at);
}

function selection(node: CelNode & { type: 'select' }, scope: Scope): Step {
  const qualified = node.target.type === 'ident' ? `${node.target.name}.${node.field}` : '';
  if (scope.declared.has(qualified)) return identifier(qualified, node.at, scope);
  const target = compile(node.target, scope);
  return (frame) => {
    const value = target(frame);
    frame.budget.spend(1);
    const found = fieldOf(value, node.field);
    if (node.optional || value instanceof CelOptional) return new CelOptional(found);
    if (found === undefined) throw new CelError(`no such key: ${node.field}`);
    return found;
  };
}

function indexing(node: CelNode & { type: 'index' }, scope: Scope): Step {
  const target = compile(node.target, scope);
  const index = compile(node.index, scope);
  return (frame) => {
    const given = target(frame);
    const key = index(frame);
    frame.budget.spend(1);
    const inner = given instanceof CelOptional ? given.value : given;
    const found = inner === undefined ? undefined : itemAt(inner, key);
    if (node.optional || given instanceof CelOptional) return new CelOptional(found);
    if (found !== undefined) return found;
    const shown = JSON.stringify(jsonFromCel(key));
    throw new CelError(Array.isArray(inner) ? `index out of bounds: ${shown}` : `no such key: ${shown}`);
  };
}

function itemAt(container: CelValue, key: CelValue): CelValue | undefined {
  if (Array.isArray(container)) {
    const at = typeof key === 'bigint' || typeof key === 'number' ? Number(key) : Number.NaN;
    if (!Number.isInteger(at)) throw new CelError(`no such overload: list[${typeName(key)}]`);
    return at < 0 ? undefined : (container as readonly CelValue[])[at];
  }
  if (container instanceof Map) return mapGet(container as CelMap, key);
  throw new CelError(`no such overload: ${typeName(container)}[${typeName(key)}]`);
}

function mapping(node: CelNode & { type: 'map' }, scope: Scope): Step {
  const entries = node.entries.map(([key, value]) => [compile(key, scope), compile(value, scope)] as const);
  return (frame) => {
    frame.budget.spend(1 + entries.length);
    const map = new Map<CelKey, CelValue>();
    for (const [key, value] of entries) map.set(mapKey(key(frame)), value(frame));
    return map;
  };
}

function unary(node: CelNode & { type: 'unary' }, scope: Scope): Step {
  const operand = compile(node.operand, scope);
  return (frame) => {
    const value = operand(frame);
    frame.budget.spend(1);
    if (node.operator === '!') return !truth(value);
    if (typeof value === 'bigint') return checkedInt(-value);
    if (typeof value === 'number') return -value;
    if (value instanceof CelDuration) return new CelDuration(-value.ms);
    throw new CelError(`no such overload: -${typeName(value)}`);
  };
}

function binary(node: CelNode & { type: 'binary' }, scope: Scope): Step {
  const left = compile(node.left, scope);
  const right = compile(node.right, scope);
  if (node.operator === '&&' || node.operator === '||') {
    return logical(left, right, node.operator === '||');
  }
  const operation = BINARY.get(node.operator);
  if (!operation) throw new CelError(`unknown operator ${node.operator}`, node.at);
  return (frame) => {
    const a = left(frame);
    const b = right(frame);
    frame.budget.spend(1);
    return operation(a, b, frame.budget);
  };
}

/** `||` (decided by true) and `&&` (decided by false): one side may fail when the other decides. */
function logical(left: Step, right: Step, decides: boolean): Step {
  return (frame) => {
    frame.budget.spend(1);
    let failure: CelError;
    try {
      if (truth(left(frame)) === decides) return decides;
      return truth(right(frame));
    } catch (error) {
      if (!(error instanceof CelError) || error instanceof CelBudgetError) throw error;
      failure = error;
    }
    if (truth(right(frame)) === decides) return decides;
    throw failure;
  };
}

const isVariable = (name: string, { declared, locals }: Scope): boolean =>
  declared.has(name) || locals.has(name);

function call(node: CelNode & { type: 'call' }, scope: Scope): Step {
  const macro = compileMacro(node, scope, compile);
  if (macro) return macro;
  const { name, args, at } = node;
  let { target } = node;
  let full = name;
  if (target?.type === 'ident' && NAMESPACES.has(target.name) && !isVariable(target.name, scope)) {
    full = `${target.name}.${name}`;
    target = undefined;
  }
  const known = FUNCTIONS.get(full);
  if (!known) throw new CelError(`undeclared reference to '${full}' (in container '')`, at);
  const inputs = [...(target ? [target] : []), ...args].map((one) => compile(one, scope));
  if (inputs.length < known.least || inputs.length > known.most) {
    throw new CelError(`found no matching overload for '${full}' with ${inputs.length} arguments`, at);
  }
  return (frame) => {
    const values = inputs.map((input) => input(frame));
    frame.budget.spend(1);
    return known.apply(values, frame.budget);
  };
}
