const COMMON = ['object', 'oldObject', 'request', 'params', 'namespaceObject', 'variables'];

const declared = (names: readonly string[]): ReadonlyMap<string, undefined> =>
  new Map(names.map((name) => [name, undefined]));

/** What expressions of admission may read; their types are only known when they run. */
export const ADMISSION_VARIABLES = declared([...COMMON, 'authorizer', 'authorizer.requestResource']);

/** Those that say why something was refused do not ask who may what. */
export const MESSAGE_VARIABLES = declared(COMMON);
