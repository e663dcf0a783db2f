import { kubernetesEstimate } from './call-cost-kubernetes.ts';
import {
  type CallEstimate,
  type CallSite,
  CHARACTER_STEPS,
  type CostNode,
  patternCost,
  sizeOf,
  traversal,
} from './call-site.ts';
import { type Estimate, fixed, product, scaled, sum, union, UNKNOWN } from './estimate.ts';

/** Cost of a call with its arguments; the receiver's is not in it. */
export function callEstimate(call: CallSite): CallEstimate {
  const own = kubernetesEstimate(call) ?? textEstimate(call) ?? listEstimate(call) ?? comparison(call);
  const args = sum(...call.costs);
  if (own) return { cost: sum(own.cost, args), size: own.size };
  return logical(call) ?? { cost: sum(fixed(1), args) };
}

/** `&&`, `||` and `?:` cost no step of their own, and not all of their sides run. */
function logical({ overload, args, costs }: CallSite): CallEstimate | undefined {
  const [first, second, third] = costs;
  if (!first || !second) return undefined;
  if (overload === 'logical_and' || overload === 'logical_or') {
    return { cost: { min: first.min, max: sum(first, second).max } };
  }
  if (overload !== 'conditional' || !third) return undefined;
  return { cost: sum(first, union(second, third)), size: union(sizeOf(args[1]), sizeOf(args[2])) };
}

function textEstimate({ overload, target, args }: CallSite): CallEstimate | undefined {
  const first = sizeOf(args[0]);
  switch (overload) {
    case 'string_format':
      return { cost: traversal(sizeOf(target)) };
    case 'string_to_bytes':
      return { cost: traversal(first), size: { min: first.min, max: first.max * 4 } };
    case 'bytes_to_string':
      return { cost: traversal(first), size: { min: Math.floor(first.min / 4), max: first.max } };
    case 'strings_quote':
      return { cost: traversal(first), size: { min: first.min + 2, max: first.max * 2 + 2 } };
    case 'starts_with_string':
    case 'ends_with_string':
      return { cost: traversal(first) };
    case 'matches_string':
      return target && { cost: patternCost(sizeOf(target), first) };
    case 'contains_string':
      return { cost: product(traversal(sizeOf(target)), traversal(first)) };
    case 'add_string':
    case 'add_bytes': {
      const size = sum(first, sizeOf(args[1]));
      return { cost: traversal(size), size };
    }
    default:
      return undefined;
  }
}

/** A new list of `size` items, with `steps` for each item looked at. */
const newList = (looked: Estimate, steps: number): CallEstimate => ({
  cost: sum(scaled(looked, steps), fixed(11)),
  size: looked,
});

/** Steps to compare two items while sorting. */
const SORT_STEPS = 2;

function listEstimate({ overload, target, args }: CallSite): CallEstimate | undefined {
  const size = sizeOf(target);
  switch (overload) {
    case 'in_list':
      return { cost: sizeOf(args[1]) };
    case 'add_list':
      return { cost: fixed(1), size: sum(sizeOf(args[0]), sizeOf(args[1])) };
    case 'list_slice':
      return newList(fixed(Math.max(0, intOf(args[1], size.max) - intOf(args[0], 0))), 1);
    case 'lists_range':
      return newList(fixed(intOf(args[0], UNKNOWN.max)), 1);
    case 'list_reverse':
      return newList(size, 1);
    case 'list_flatten':
      return newList(size, 1);
    case 'list_flatten_int':
      return newList(size, intOf(args[0], UNKNOWN.max));
    case 'list_distinct':
      return newList(product(size, size), SORT_STEPS);
    case 'list_sets_contains_list':
    case 'list_sets_intersects_list':
      return { cost: setCost(args, 1) };
    case 'list_sets_equivalent_list':
      return { cost: setCost(args, 2) };
    default:
      return sortEstimate(overload, overload.endsWith('Keys') ? sizeOf(args[0]) : size);
  }
}

/** Each item of one list is looked for in the other one. */
const setCost = ([a, b]: readonly CostNode[], times: number): Estimate =>
  sum(scaled(product(sizeOf(a), sizeOf(b)), times), fixed(1));

function sortEstimate(overload: string, size: Estimate): CallEstimate | undefined {
  const [, type] = /^list_([a-z]+)_sort/.exec(overload) ?? [];
  if (type === undefined) return undefined;
  const ofTexts = type === 'string' || type === 'bytes';
  return newList(product(size, size), ofTexts ? SORT_STEPS + CHARACTER_STEPS : SORT_STEPS);
}

function intOf(node: CostNode | undefined, otherwise: number): number {
  const literal = node?.expression;
  if (literal?.type !== 'literal' || typeof literal.value !== 'bigint') return otherwise;
  return Math.max(0, Number(literal.value));
}

const COMPARED = /^(?:equals|not_equals|(?:less|greater)(?:_equals)?_(?:string|bytes))$/;

/** As much as the shorter side has. */
function comparison({ overload, args }: CallSite): CallEstimate | undefined {
  if (!COMPARED.test(overload)) return undefined;
  const most = Math.min(sizeOf(args[0]).max, sizeOf(args[1]).max);
  return { cost: traversal({ min: most > 0 ? 1 : 0, max: most }) };
}
