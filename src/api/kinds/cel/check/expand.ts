import type { CelNode } from '../parser.ts';
import type { CelValue } from '../values.ts';
import { overloadsOf } from './declarations.ts';
import { expandMacro } from './expand-macros.ts';
import type { Expression } from './expression.ts';
import { BOOL, BYTES, type CelType, DOUBLE, INT, NULL, STRING, UINT } from './type.ts';

const RENAMED: ReadonlyMap<string, string> = new Map([['in', '@in']]);

/**
 * Operators become calls, macros what they stand for, `a.b` one name where `qualified` says it is one.
 * Throws CelError for macros that are used wrongly.
 */
export function expand(node: CelNode, qualified: (name: string) => boolean): Expression {
  const { at } = node;
  const inner = (one: CelNode): Expression => expand(one, qualified);
  const call = (name: string, ...args: readonly CelNode[]): Expression => ({
    type: 'call',
    name,
    target: undefined,
    args: args.map(inner),
    at,
  });
  switch (node.type) {
    case 'literal':
      return { type: 'literal', of: literalType(node.value, node.unsigned), value: node.value, at };
    case 'ident':
      return { type: 'ident', name: node.name, at };
    case 'select':
      return selection(node, qualified);
    case 'index':
      return call(node.optional ? '_[?_]' : '_[_]', node.target, node.index);
    case 'call':
      return expandMacro(node, inner) ?? ordinaryCall(node, inner);
    case 'list':
      return { type: 'list', items: node.items.map(inner), at };
    case 'map':
      return { type: 'map', entries: node.entries.map(([key, value]) => [inner(key), inner(value)]), at };
    case 'unary':
      return call(node.operator === '!' ? '!_' : '-_', node.operand);
    case 'binary':
      return call(RENAMED.get(node.operator) ?? `_${node.operator}_`, node.left, node.right);
    case 'ternary':
      return call('_?_:_', node.condition, node.yes, node.no);
  }
}

function literalType(value: CelValue, unsigned: boolean | undefined): CelType {
  if (value === null) return NULL;
  if (typeof value === 'boolean') return BOOL;
  if (typeof value === 'bigint') return unsigned ? UINT : INT;
  if (typeof value === 'number') return DOUBLE;
  return typeof value === 'string' ? STRING : BYTES;
}

function selection(node: CelNode & { type: 'select' }, qualified: (name: string) => boolean): Expression {
  const { field, at } = node;
  const name = qualifiedName(node);
  if (name !== undefined && !node.optional && qualified(name)) return { type: 'ident', name, at };
  const operand = expand(node.target, qualified);
  if (!node.optional) return { type: 'select', operand, field, test: false, at };
  const args: Expression[] = [operand, { type: 'literal', of: STRING, value: field, at }];
  return { type: 'call', name: '_?._', target: undefined, args, at };
}

/** `a.b.c` of nothing but names; undefined for anything else. */
function qualifiedName(node: CelNode): string | undefined {
  if (node.type === 'ident') return node.name;
  if (node.type !== 'select' || node.optional) return undefined;
  const prefix = qualifiedName(node.target);
  return prefix === undefined ? undefined : `${prefix}.${node.field}`;
}

function ordinaryCall(node: CelNode & { type: 'call' }, inner: (node: CelNode) => Expression): Expression {
  const { name, target, at } = node;
  const args = node.args.map(inner);
  const prefix = target && qualifiedName(target);
  const full = `${prefix ?? ''}.${name}`;
  // A function may have a dotted name: its prefix is no receiver.
  if (prefix !== undefined && overloadsOf(full)) {
    return { type: 'call', name: full, target: undefined, args, at };
  }
  return { type: 'call', name, target: target && inner(target), args, at };
}
