import { CelError, sourceErrors } from '../budget.ts';
import { parseCel } from '../parser.ts';
import { located } from '../source-errors.ts';
import { checkTypes, type TypedExpression } from './checker.ts';
import { expand } from './expand.ts';
import { allParts, type Expression } from './expression.ts';
import { literalErrors } from './literals.ts';
import {
  BOOL,
  BYTES,
  type CelType,
  DOUBLE,
  DURATION,
  INT,
  listOf,
  mapOf,
  NULL,
  STRING,
  TIMESTAMP,
  typeOf,
  typeParam,
  UINT,
} from './type.ts';

/** Names of types are values of expressions, too. */
const TYPE_NAMES: readonly (readonly [name: string, type: CelType])[] = [
  ['bool', BOOL],
  ['bytes', BYTES],
  ['double', DOUBLE],
  ['google.protobuf.Duration', DURATION],
  ['google.protobuf.Timestamp', TIMESTAMP],
  ['int', INT],
  ['list', listOf(typeParam('A'))],
  ['map', mapOf(typeParam('A'), typeParam('B'))],
  ['null_type', NULL],
  ['string', STRING],
  ['type', typeParam('A')],
  ['uint', UINT],
];

export type CelCheck =
  | { readonly ok: true; readonly typed: TypedExpression; readonly type: CelType }
  | { readonly ok: false; readonly message: string };

/** Checks the types of an expression before it is kept. Says every mistake with its place, as cel-go prints it. */
export function checkCel(source: string, variables: ReadonlyMap<string, CelType>): CelCheck {
  const known = new Map([...TYPE_NAMES.map(([name, type]) => [name, typeOf(type)] as const), ...variables]);
  try {
    const expression = expand(parseCel(source), (name) => known.has(name));
    const { typed, errors } = checkTypes(expression, known);
    const found = errors.length > 0 ? errors : literalErrors(typed);
    if (found.length > 0) return { ok: false, message: located(source, found) };
    return { ok: true, typed, type: typed.typeOf(expression) };
  } catch (error) {
    if (!(error instanceof CelError)) throw error;
    return { ok: false, message: located(source, sourceErrors(error)) };
  }
}

/** Whether the expression reads a variable of that name. */
export function readsVariable(root: Expression, name: string): boolean {
  for (const node of allParts(root)) if (node.type === 'ident' && node.name === name) return true;
  return false;
}
