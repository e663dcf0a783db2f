import { CelError } from '../budget.ts';
import type { CelNode } from '../parser.ts';
import { ACCUMULATOR, type Comprehension, type Expression } from './expression.ts';
import { BOOL, INT } from './type.ts';

type CallNode = CelNode & { type: 'call' };
type Expand = (node: CelNode) => Expression;

/** Makes expressions that stand where a macro is called. */
class Builder {
  readonly #at: number;

  constructor(at: number) {
    this.#at = at;
  }

  truth(value: boolean): Expression {
    return { type: 'literal', of: BOOL, value, at: this.#at };
  }

  int(value: bigint): Expression {
    return { type: 'literal', of: INT, value, at: this.#at };
  }

  name(name: string = ACCUMULATOR): Expression {
    return { type: 'ident', name, at: this.#at };
  }

  list(...items: readonly Expression[]): Expression {
    return { type: 'list', items, at: this.#at };
  }

  emptyMap(): Expression {
    return { type: 'map', entries: [], at: this.#at };
  }

  call(name: string, ...args: readonly Expression[]): Expression {
    return { type: 'call', name, target: undefined, args, at: this.#at };
  }

  method(target: Expression, name: string, ...args: readonly Expression[]): Expression {
    return { type: 'call', name, target, args, at: this.#at };
  }

  loop(range: Expression, variables: readonly string[], parts: LoopParts): Expression {
    const { init, condition = this.truth(true), step, result = this.name() } = parts;
    const loop: Comprehension = {
      type: 'comprehension',
      range,
      variables,
      accumulator: ACCUMULATOR,
      init,
      condition,
      step,
      result,
    };
    return { ...loop, at: this.#at };
  }

  /** A name for a value: a loop over nothing whose accumulator keeps what it begins with. */
  bind(name: string, value: Expression, body: Expression): Expression {
    const condition = this.truth(false);
    const step = this.name(name);
    const parts = { accumulator: name, init: value, condition, step, result: body };
    return { type: 'comprehension', range: this.list(), variables: ['#unused'], ...parts, at: this.#at };
  }
}

interface LoopParts {
  readonly init: Expression;
  readonly condition?: Expression;
  readonly step: Expression;
  readonly result?: Expression;
}

/** What a loop macro does with one item: `body` is its last argument, `filter` the one before when there is one. */
type LoopMacro = (make: Builder, body: Expression, filter: Expression | undefined, key: string) => LoopParts;

const all: LoopMacro = (make, body) => ({
  init: make.truth(true),
  condition: make.call('@not_strictly_false', make.name()),
  step: make.call('_&&_', make.name(), body),
});

const exists: LoopMacro = (make, body) => ({
  init: make.truth(false),
  condition: make.call('@not_strictly_false', make.call('!_', make.name())),
  step: make.call('_||_', make.name(), body),
});

const existsOne: LoopMacro = (make, body) => ({
  init: make.int(0n),
  step: make.call('_?_:_', body, make.call('_+_', make.name(), make.int(1n)), make.name()),
  result: make.call('_==_', make.name(), make.int(1n)),
});

const filtered = (make: Builder, step: Expression, filter: Expression | undefined): Expression =>
  filter ? make.call('_?_:_', filter, step, make.name()) : step;

const map: LoopMacro = (make, body, filter) => ({
  init: make.list(),
  step: filtered(make, make.call('_+_', make.name(), make.list(body)), filter),
});

const filter: LoopMacro = (make, body, _filter, item) => ({
  init: make.list(),
  step: filtered(make, make.call('_+_', make.name(), make.list(make.name(item))), body),
});

const transformMap: LoopMacro = (make, body, condition, key) => ({
  init: make.emptyMap(),
  step: filtered(make, make.call('cel.@mapInsert', make.name(), make.name(key), body), condition),
});

const transformMapEntry: LoopMacro = (make, body, condition) => ({
  init: make.emptyMap(),
  step: filtered(make, make.call('cel.@mapInsert', make.name(), body), condition),
});

/** By name and number of arguments; with how many variables. */
const LOOPS: ReadonlyMap<string, readonly [variables: number, expand: LoopMacro]> = new Map([
  ['all:2', [1, all]],
  ['exists:2', [1, exists]],
  ['exists_one:2', [1, existsOne]],
  ['map:2', [1, map]],
  ['map:3', [1, map]],
  ['filter:2', [1, filter]],
  ['all:3', [2, all]],
  ['exists:3', [2, exists]],
  ['existsOne:3', [2, existsOne]],
  ['exists_one:3', [2, existsOne]],
  ['transformList:3', [2, map]],
  ['transformList:4', [2, map]],
  ['transformMap:3', [2, transformMap]],
  ['transformMap:4', [2, transformMap]],
  ['transformMapEntry:3', [2, transformMapEntry]],
  ['transformMapEntry:4', [2, transformMapEntry]],
]);

/** The expression a macro call stands for; undefined when the call is an ordinary function. */
export function expandMacro(node: CallNode, inner: Expand): Expression | undefined {
  const { name, target, args, at } = node;
  const make = new Builder(at);
  if (!target) return name === 'has' && args.length === 1 ? presence(node, inner) : undefined;
  if (args.length === 2 && (name === 'optMap' || name === 'optFlatMap'))
    return optionalMap(node, inner(target), inner, make);
  if (args.length === 2 && name === 'sortBy') return sorting(node, inner(target), inner, make);
  const loop = LOOPS.get(`${name}:${args.length}`);
  if (!loop) return undefined;
  const [count, parts] = loop;
  const variables = variableNames(args.slice(0, count), name);
  const [body, condition] = args.slice(count).reverse().map(inner);
  if (!body) return undefined;
  return make.loop(inner(target), variables, parts(make, body, condition, variables[0] ?? ''));
}

function variableNames(args: readonly CelNode[], macro: string): string[] {
  const names = args.map((arg) => {
    if (arg.type === 'ident') return arg.name;
    const what = macro === 'map' || macro === 'filter' ? 'not an identifier' : undefined;
    throw new CelError(what ? `argument is ${what}` : 'argument must be a simple name', arg.at);
  });
  const [first, second] = names;
  if (second !== undefined && first === second)
    throw new CelError(`duplicate variable name: ${second}`, args[1]?.at);
  const reserved = names.indexOf('__result__');
  if (reserved >= 0)
    throw new CelError('iteration variable overwrites accumulator variable', args[reserved]?.at);
  return names;
}

function presence(node: CallNode, inner: Expand): Expression {
  const [argument] = node.args;
  if (argument?.type !== 'select' || argument.optional)
    throw new CelError('invalid argument to has() macro', argument?.at ?? node.at);
  return {
    type: 'select',
    operand: inner(argument.target),
    field: argument.field,
    test: true,
    at: node.at,
  };
}

const SORTED = '@__sortBy_input__';

/** The list under a name, and the keys of its items beside it. */
function sorting(node: CallNode, target: Expression, inner: Expand, make: Builder): Expression {
  const variables = variableNames(node.args.slice(0, 1), 'map');
  const [, body] = node.args;
  if (!body || target.type === 'literal' || target.type === 'map') {
    const what = 'list, identifier, comprehension, call or select expression';
    throw new CelError(`sortBy can only be applied to a ${what}`, target.at);
  }
  const keys = make.loop(make.name(SORTED), variables, map(make, inner(body), undefined, ''));
  const sorted = make.method(make.name(SORTED), '@sortByAssociatedKeys', keys);
  return make.bind(SORTED, target, sorted);
}

function optionalMap(node: CallNode, target: Expression, inner: Expand, make: Builder): Expression {
  const [variable, body] = node.args;
  if (variable?.type !== 'ident' || !body)
    throw new CelError(`${node.name}() variable name must be a simple identifier`, variable?.at);
  const bound = make.bind(variable.name, make.method(target, 'value'), inner(body));
  return make.call(
    '_?_:_',
    make.method(target, 'hasValue'),
    node.name === 'optMap' ? make.call('optional.of', bound) : bound,
    make.call('optional.none'),
  );
}
