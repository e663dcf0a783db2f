import { CORE_DECLARATIONS } from './declarations-core.ts';
import { KUBERNETES_DECLARATIONS } from './declarations-kubernetes.ts';
import { type CelType, parseType, splitTypes } from './type.ts';

/** Overloads by function, written `id: (arguments) -> result`; a dot in front: the first argument is the receiver. */
export type Declarations = Readonly<Record<string, readonly string[]>>;

export interface Overload {
  /** As cost rules name it. */
  readonly id: string;
  readonly member: boolean;
  readonly args: readonly CelType[];
  readonly result: CelType;
  /** Names of its type parameters. */
  readonly params: readonly string[];
}

function parseOverload(text: string): Overload {
  const [, dot, id, args, result] = /^(\.?)(.+): \((.*)\) -> (.+)$/.exec(text) ?? [];
  const types = splitTypes(args ?? '').map(parseType);
  const made = parseType(result ?? '');
  const params = new Set([...types, made].flatMap(paramNames));
  return { id: id ?? '', member: dot === '.', args: types, result: made, params: [...params] };
}

function paramNames(type: CelType): string[] {
  return type.kind === 'param' ? [type.name] : type.params.flatMap(paramNames);
}

const FUNCTIONS: ReadonlyMap<string, readonly Overload[]> = new Map(
  Object.entries({ ...CORE_DECLARATIONS, ...KUBERNETES_DECLARATIONS }).map(([name, overloads]) => [
    name,
    overloads.map(parseOverload),
  ]),
);

/** The overloads of a function; undefined when there is none of that name. */
export const overloadsOf = (name: string): readonly Overload[] | undefined => FUNCTIONS.get(name);
