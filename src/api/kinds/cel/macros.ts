import { CelBudgetError, CelError } from './budget.ts';
import { celCompare } from './compare.ts';
import type { CelNode } from './parser.ts';
import { fieldOf, type Frame, mapKey, type Scope, type Step, truth } from './scope.ts';
import { type CelKey, type CelMap, CelOptional, type CelValue, typeName } from './values.ts';

type Compile = (node: CelNode, scope: Scope) => Step;
type CallNode = CelNode & { type: 'call' };

/** has(), optMap and the comprehensions; undefined when the call is an ordinary function. */
export function compileMacro(node: CallNode, scope: Scope, compile: Compile): Step | undefined {
  const { name, target, args } = node;
  if (!target) return name === 'has' && args.length === 1 ? presence(node, scope, compile) : undefined;
  if (name === 'optMap' || name === 'optFlatMap') return optionalMap(node, target, scope, compile);
  const kind = COMPREHENSIONS.get(name);
  if (!kind || args.length < 2 || args[0]?.type !== 'ident') return undefined;
  return comprehension(node, target, kind, scope, compile);
}

function presence(node: CallNode, scope: Scope, compile: Compile): Step {
  const [argument] = node.args;
  if (argument?.type !== 'select') throw new CelError('invalid argument to has() macro', node.at);
  const target = compile(argument.target, scope);
  return (frame) => {
    frame.budget.spend(1);
    return fieldOf(target(frame), argument.field) !== undefined;
  };
}

function withLocal(scope: Scope, name: string): { scope: Scope; slot: number } {
  const slot = scope.slots.count++;
  const locals = new Map(scope.locals).set(name, slot);
  return { scope: { ...scope, locals }, slot };
}

function variableName(node: CelNode | undefined, at: number): string {
  if (node?.type !== 'ident') throw new CelError('argument must be a simple name', node?.at ?? at);
  return node.name;
}

function optionalMap(node: CallNode, target: CelNode, scope: Scope, compile: Compile): Step {
  const [variable, body] = node.args;
  if (!body || node.args.length !== 2) throw new CelError(`${node.name}() takes two arguments`, node.at);
  const source = compile(target, scope);
  const inner = withLocal(scope, variableName(variable, node.at));
  const run = compile(body, inner.scope);
  const flat = node.name === 'optFlatMap';
  return (frame) => {
    const given = source(frame);
    if (!(given instanceof CelOptional))
      throw new CelError(`no such overload: ${typeName(given)}.${node.name}`);
    if (given.value === undefined) return given;
    frame.slots[inner.slot] = given.value;
    const made = run(frame);
    return flat ? made : new CelOptional(made);
  };
}

/** Runs over the items; `bind` sets the variables of one, `body` is the last argument, `filter` the one before. */
interface Loop {
  readonly items: readonly (readonly [key: CelValue, value: CelValue])[];
  readonly isMap: boolean;
  readonly bind: (key: CelValue, value: CelValue) => void;
  readonly body: Step;
  readonly filter: Step | undefined;
  readonly frame: Frame;
}

type Comprehension = (loop: Loop) => CelValue;

/** A failing item only matters when no other one decides. */
function quantifier(decides: boolean): Comprehension {
  return ({ items, bind, body, frame }) => {
    let failure: CelError | undefined;
    for (const [key, value] of items) {
      bind(key, value);
      frame.budget.spend(1);
      try {
        if (truth(body(frame)) === decides) return decides;
      } catch (error) {
        if (!(error instanceof CelError) || error instanceof CelBudgetError) throw error;
        failure = error;
      }
    }
    if (failure) throw failure;
    return !decides;
  };
}

const one: Comprehension = ({ items, bind, body, frame }) => {
  let count = 0;
  for (const [key, value] of items) {
    bind(key, value);
    frame.budget.spend(1);
    if (truth(body(frame))) count++;
  }
  return count === 1;
};

const map: Comprehension = ({ items, bind, body, filter, frame }) => {
  const made: CelValue[] = [];
  for (const [key, value] of items) {
    bind(key, value);
    frame.budget.spend(1);
    if (!filter || truth(filter(frame))) made.push(body(frame));
  }
  return made;
};

const filtered: Comprehension = ({ items, isMap, bind, body, frame }) => {
  const kept: CelValue[] = [];
  for (const [key, value] of items) {
    bind(key, value);
    frame.budget.spend(1);
    if (truth(body(frame))) kept.push(isMap ? key : value);
  }
  return kept;
};

const transformMap: Comprehension = ({ items, bind, body, filter, frame }) => {
  const made = new Map<CelKey, CelValue>();
  for (const [key, value] of items) {
    bind(key, value);
    frame.budget.spend(1);
    if (!filter || truth(filter(frame))) made.set(mapKey(key), body(frame));
  }
  return made;
};

const transformMapEntry: Comprehension = ({ items, bind, body, filter, frame }) => {
  const made = new Map<CelKey, CelValue>();
  for (const [key, value] of items) {
    bind(key, value);
    frame.budget.spend(1);
    if (filter && !truth(filter(frame))) continue;
    const entries = body(frame);
    if (!(entries instanceof Map)) throw new CelError(`no such overload: ${typeName(entries)} is no map`);
    for (const [name, entry] of entries as CelMap) {
      if (made.has(name)) throw new CelError(`insert failed: key ${String(name)} already exists`);
      made.set(name, entry);
    }
  }
  return made;
};

/** By the keys the body gives. */
const sortBy: Comprehension = ({ items, bind, body, frame }) => {
  const keyed = items.map(([key, value]) => {
    bind(key, value);
    frame.budget.spend(1);
    return [body(frame), value] as const;
  });
  frame.budget.spend(keyed.length * Math.log2(keyed.length + 1));
  return keyed.toSorted(([a], [b]) => celCompare(a, b)).map(([, value]) => value);
};

interface ComprehensionKind {
  readonly run: Comprehension;
  /** Arguments besides the variables. */
  readonly bodies: readonly number[];
  readonly variables: readonly number[];
}

const COMPREHENSIONS: ReadonlyMap<string, ComprehensionKind> = new Map([
  ['all', { run: quantifier(false), bodies: [1], variables: [1, 2] }],
  ['exists', { run: quantifier(true), bodies: [1], variables: [1, 2] }],
  ['exists_one', { run: one, bodies: [1], variables: [1, 2] }],
  ['existsOne', { run: one, bodies: [1], variables: [1, 2] }],
  ['map', { run: map, bodies: [1, 2], variables: [1] }],
  ['filter', { run: filtered, bodies: [1], variables: [1] }],
  ['transformList', { run: map, bodies: [1, 2], variables: [2] }],
  ['transformMap', { run: transformMap, bodies: [1, 2], variables: [2] }],
  ['transformMapEntry', { run: transformMapEntry, bodies: [1, 2], variables: [2] }],
  ['sortBy', { run: sortBy, bodies: [1], variables: [1] }],
]);

function comprehension(
  node: CallNode,
  target: CelNode,
  kind: ComprehensionKind,
  scope: Scope,
  compile: Compile,
): Step {
  const { args } = node;
  const variables = kind.variables.find((count) => kind.bodies.includes(args.length - count));
  if (variables === undefined)
    throw new CelError(`${node.name}() has the wrong number of arguments`, node.at);
  const source = compile(target, scope);
  const first = withLocal(scope, variableName(args[0], node.at));
  const second = variables === 2 ? withLocal(first.scope, variableName(args[1], node.at)) : undefined;
  const inner = second?.scope ?? first.scope;
  const [body, filter] = args
    .slice(variables)
    .reverse()
    .map((arg) => compile(arg, inner));
  if (!body) throw new CelError(`${node.name}() has the wrong number of arguments`, node.at);
  return (frame) => {
    const container = source(frame);
    const isMap = container instanceof Map;
    // With one variable a map gives its keys, a list its items; with two, key or index and value.
    const bind = (key: CelValue, value: CelValue): void => {
      frame.slots[first.slot] = second || isMap ? key : value;
      if (second) frame.slots[second.slot] = value;
    };
    return kind.run({ items: pairsOf(container), isMap, bind, body, filter, frame });
  };
}

function pairsOf(container: CelValue): readonly (readonly [CelValue, CelValue])[] {
  if (container instanceof Map) return [...(container as CelMap)];
  if (Array.isArray(container)) {
    return (container as readonly CelValue[]).map((value, index) => [BigInt(index), value] as const);
  }
  throw new CelError(`no such overload: ${typeName(container)} is neither list nor map`);
}
