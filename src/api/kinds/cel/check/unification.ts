import { type CelType, DYN, sameType } from './type.ts';

/** What type parameters stand for so far. */
export type Substitutions = ReadonlyMap<string, CelType>;

/** Substitutions that are being tried, and how to take them back. */
interface Attempt {
  readonly subs: Map<string, CelType>;
  readonly undo: (() => void)[];
}

export const isDynOrError = (type: CelType): boolean => type.kind === 'dyn' || type.kind === 'error';

const found = (subs: Substitutions, type: CelType): CelType | undefined =>
  type.kind === 'param' ? subs.get(type.name) : undefined;

/** Whether each type of `given` can stand for that of `wanted`; when it can, `subs` says how, else it stays as it was. */
export function unify(
  subs: Map<string, CelType>,
  given: readonly CelType[],
  wanted: readonly CelType[],
): boolean {
  const attempt: Attempt = { subs, undo: [] };
  if (assignableAll(attempt, given, wanted)) return true;
  for (const step of attempt.undo.reverse()) step();
  return false;
}

function substitute({ subs, undo }: Attempt, { name }: CelType, type: CelType): void {
  const before = subs.get(name);
  subs.set(name, type);
  undo.push(() => (before ? subs.set(name, before) : subs.delete(name)));
}

function assignableAll(attempt: Attempt, given: readonly CelType[], wanted: readonly CelType[]): boolean {
  if (given.length !== wanted.length) return false;
  return given.every((one, index) => assignable(attempt, one, wanted[index] ?? DYN));
}

function assignable(attempt: Attempt, given: CelType, wanted: CelType): boolean {
  if (wanted.kind === 'param') {
    const known = found(attempt.subs, wanted) !== undefined;
    if (substitutes(attempt, given, wanted)) return true;
    if (known) return false;
  }
  if (given.kind === 'param') return substitutes(attempt, wanted, given);
  if (isDynOrError(given) || isDynOrError(wanted)) return true;
  if (given.kind === 'null') return nullable(wanted);
  if (wanted.kind === 'null') return nullable(given);
  if (given.kind === 'type') return wanted.kind === 'type';
  if (given.kind !== wanted.kind || given.name !== wanted.name) return false;
  return assignableAll(attempt, given.params, wanted.params);
}

/** Structs, times and opaque values may be null; numbers, texts and containers not. */
function nullable(type: CelType): boolean {
  if (type.kind === 'scalar') return type.name === 'timestamp' || type.name === 'duration';
  return type.kind === 'opaque' || type.kind === 'struct' || type.kind === 'null';
}

/** Whether the parameter may stand for the type; when it already stands for one, for the more general of both. */
function substitutes(attempt: Attempt, type: CelType, param: CelType): boolean {
  if (sameType(type, param)) return true;
  const known = found(attempt.subs, param);
  if (known) {
    if (sameType(type, known)) return true;
    if (!assignable(attempt, type, known)) return false;
    const general = mostGeneral(type, known);
    if (!occursIn(attempt.subs, param, general)) substitute(attempt, param, general);
    return true;
  }
  if (occursIn(attempt.subs, param, type)) return false;
  substitute(attempt, param, type);
  return true;
}

function occursIn(subs: Substitutions, param: CelType, type: CelType): boolean {
  if (sameType(param, type)) return true;
  if (type.kind === 'param') {
    const known = found(subs, type);
    return known !== undefined && occursIn(subs, param, known);
  }
  return type.params.some((one) => occursIn(subs, param, one));
}

/** Of two types that unify, the one that says less. */
export function mostGeneral(a: CelType, b: CelType): CelType {
  return lessSpecific(a, b) ? a : b;
}

function lessSpecific(a: CelType, b: CelType): boolean {
  if (a.kind === 'dyn' || a.kind === 'param') return true;
  if (b.kind === 'dyn' || b.kind === 'param' || a.kind !== b.kind) return false;
  if (a.kind === 'type') return true;
  if (a.name !== b.name || a.params.length !== b.params.length) return false;
  return a.params.every((param, index) => lessSpecific(param, b.params[index] ?? DYN));
}

/** With parameters replaced by what they stand for; `free` is what becomes of those that stand for nothing yet. */
export function substituted(subs: Substitutions, type: CelType, free?: CelType): CelType {
  const known = found(subs, type);
  if (known) return substituted(subs, known, free);
  if (type.kind === 'param') return free ?? type;
  if (type.params.length === 0) return type;
  return { ...type, params: type.params.map((param) => substituted(subs, param, free)) };
}
