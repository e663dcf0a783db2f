import { objectAt, objectsAt, type JsonObject, stringAt } from '../../../kinds/json-value.ts';

/** A pod, or the template of one, and the minor version of the standards it is judged by. */
export interface Subject {
  readonly spec: JsonObject;
  readonly metadata: JsonObject;
  /** 25 for `v1.25`, Infinity for `latest`. */
  readonly minor: number;
}

/** One broken rule: the rule's name and which containers or fields break it. */
export interface Violation {
  readonly rule: string;
  readonly detail: string;
}

export type Check = (subject: Subject) => Violation | undefined;

export function containersOf(spec: JsonObject): JsonObject[] {
  return ['initContainers', 'containers', 'ephemeralContainers'].flatMap((field) => objectsAt(spec, field));
}

/** securityContext of a pod's spec or of a container. */
export const security = (one: JsonObject): JsonObject => objectAt(one, 'securityContext');

export function namesWhere(spec: JsonObject, test: (container: JsonObject) => boolean): string[] {
  return containersOf(spec)
    .filter(test)
    .map((one) => stringAt(one, 'name'));
}

export const plural = (count: number, one: string, many: string): string => (count === 1 ? one : many);

/** `"a", "b"` */
export const quoted = (texts: Iterable<string>): string =>
  Array.from(texts, (one) => JSON.stringify(one)).join(', ');

/** `container "a"`, `containers "a", "b"` */
export const containersText = (names: readonly string[]): string =>
  `${plural(names.length, 'container', 'containers')} ${quoted(names)}`;

export function found(rule: string, names: readonly string[], must: string): Violation | undefined {
  return names.length > 0 ? { rule, detail: `${containersText(names)} ${must}` } : undefined;
}

/** `pod and container "a"`: who of the two sets it; empty = nobody. */
export function settersText(spec: JsonObject, test: (one: JsonObject) => boolean): string {
  const names = namesWhere(spec, test);
  return [...(test(spec) ? ['pod'] : []), ...(names.length > 0 ? [containersText(names)] : [])].join(' and ');
}

/** The distinct values of all who have one, sorted. */
export function valuesOf(spec: JsonObject, valuesIn: (one: JsonObject) => readonly string[]): string[] {
  return [...new Set([spec, ...containersOf(spec)].flatMap((one) => valuesIn(one)))].sort();
}
