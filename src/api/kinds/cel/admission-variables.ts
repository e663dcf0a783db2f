/** What expressions of admission may read; their types are only known when they run. */
export const ADMISSION_VARIABLES: ReadonlyMap<string, undefined> = new Map(
  ['object', 'oldObject', 'request', 'params', 'namespaceObject', 'variables'].map((name) => [
    name,
    undefined,
  ]),
);
