import type { Schema } from '../schema/schema.ts';
import { CelBudget, CelBudgetError, CelError, sourceErrors } from './budget.ts';
import { FUNCTIONS, NAMESPACES } from './functions.ts';
import { CEL_EXPRESSION_STEPS_MAX } from './limits.ts';
import { compileMacro } from './macros.ts';
import { type Compiled, fieldOf, fieldSchema, mapKey, type Scope, type Step, truth } from './scope.ts';
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
 * @param declared variables by name, with their schema when it is known
 */
export function compileCel(
  source: string,
  declared: ReadonlyMap<string, Schema | undefined>,
): CelCompilation {
  try {
    const node = parseCel(source);
    const slots = { count: 0 };
    const reads = new Set<string>();
    const { run } = compile(node, { declared, locals: new Map(), slots });
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

function collectReads(node: CelNode, declared: ReadonlyMap<string, unknown>, reads: Set<string>): void {
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

function compile(node: CelNode, scope: Scope): Compiled {
  switch (node.type) {
    case 'literal':
      return { run: () => node.value, schema: undefined };
    case 'ident':
      return identifier(node.name, node.at, scope);
    case 'select':
      return selection(node, scope);
    case 'index':
      return indexing(node, scope);
    case 'call':
      return call(node, scope);
    case 'list': {
      const items = node.items.map((one) => compile(one, scope).run);
      const run: Step = (frame) => {
        frame.budget.spend(1 + items.length);
        return items.map((item) => item(frame));
      };
      return { run, schema: undefined };
    }
    case 'map':
      return mapping(node, scope);
    case 'unary':
      return unary(node, scope);
    case 'binary':
      return binary(node, scope);
    case 'ternary': {
      const [condition, yes, no] = [node.condition, node.yes, node.no].map((one) => compile(one, scope));
      const run: Step = (frame) => (truth(condition!.run(frame)) ? yes!.run(frame) : no!.run(frame));
      return { run, schema: undefined };
    }
  }
}

function identifier(name: string, at: number, scope: Scope): Compiled {
  const local = scope.locals.get(name);
  if (local) {
    return {
      run: ({ slots, budget }) => {
        budget.spend(1);
        return slots[local.slot] ?? null;
      },
      schema: local.schema,
    };
  }
  if (scope.declared.has(name)) {
    const run: Step = ({ variables, budget }) => {
      budget.spend(1);
      return variables[name] ?? null;
    };
    return { run, schema: scope.declared.get(name) };
  }
  const type = TYPES.get(name);
  if (type) return { run: () => type, schema: undefined };
  throw new CelError(`undeclared reference to '${name}' (in container '')`, at);
}

function selection(node: CelNode & { type: 'select' }, scope: Scope): Compiled {
  const qualified = node.target.type === 'ident' ? `${node.target.name}.${node.field}` : '';
  if (scope.declared.has(qualified)) return identifier(qualified, node.at, scope);
  const target = compile(node.target, scope);
  const schema = fieldSchema(target.schema, node.field, node.at);
  const run: Step = (frame) => {
    const value = target.run(frame);
    frame.budget.spend(1);
    const found = fieldOf(value, node.field);
    if (node.optional || value instanceof CelOptional) return new CelOptional(found);
    if (found === undefined) throw new CelError(`no such key: ${node.field}`);
    return found;
  };
  return { run, schema: node.optional ? undefined : schema };
}

function indexing(node: CelNode & { type: 'index' }, scope: Scope): Compiled {
  const target = compile(node.target, scope);
  const index = compile(node.index, scope).run;
  const run: Step = (frame) => {
    const given = target.run(frame);
    const key = index(frame);
    frame.budget.spend(1);
    const inner = given instanceof CelOptional ? given.value : given;
    const found = inner === undefined ? undefined : itemAt(inner, key);
    if (node.optional || given instanceof CelOptional) return new CelOptional(found);
    if (found !== undefined) return found;
    const shown = JSON.stringify(jsonFromCel(key));
    throw new CelError(Array.isArray(inner) ? `index out of bounds: ${shown}` : `no such key: ${shown}`);
  };
  return { run, schema: node.optional ? undefined : target.schema?.items() };
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

function mapping(node: CelNode & { type: 'map' }, scope: Scope): Compiled {
  const entries = node.entries.map(
    ([key, value]) => [compile(key, scope).run, compile(value, scope).run] as const,
  );
  const run: Step = (frame) => {
    frame.budget.spend(1 + entries.length);
    const map = new Map<CelKey, CelValue>();
    for (const [key, value] of entries) map.set(mapKey(key(frame)), value(frame));
    return map;
  };
  return { run, schema: undefined };
}

function unary(node: CelNode & { type: 'unary' }, scope: Scope): Compiled {
  const operand = compile(node.operand, scope).run;
  const run: Step = (frame) => {
    const value = operand(frame);
    frame.budget.spend(1);
    if (node.operator === '!') return !truth(value);
    if (typeof value === 'bigint') return checkedInt(-value);
    if (typeof value === 'number') return -value;
    if (value instanceof CelDuration) return new CelDuration(-value.ms);
    throw new CelError(`no such overload: -${typeName(value)}`);
  };
  return { run, schema: undefined };
}

function binary(node: CelNode & { type: 'binary' }, scope: Scope): Compiled {
  const left = compile(node.left, scope).run;
  const right = compile(node.right, scope).run;
  if (node.operator === '&&' || node.operator === '||') {
    return { run: logical(left, right, node.operator === '||'), schema: undefined };
  }
  const operation = BINARY.get(node.operator);
  if (!operation) throw new CelError(`unknown operator ${node.operator}`, node.at);
  const run: Step = (frame) => {
    const a = left(frame);
    const b = right(frame);
    frame.budget.spend(1);
    return operation(a, b, frame.budget);
  };
  return { run, schema: undefined };
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

function call(node: CelNode & { type: 'call' }, scope: Scope): Compiled {
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
  const inputs = [...(target ? [target] : []), ...args].map((one) => compile(one, scope).run);
  if (inputs.length < known.least || inputs.length > known.most) {
    throw new CelError(`found no matching overload for '${full}' with ${inputs.length} arguments`, at);
  }
  const run: Step = (frame) => {
    const values = inputs.map((input) => input(frame));
    frame.budget.spend(1);
    return known.apply(values, frame.budget);
  };
  return { run, schema: undefined };
}
