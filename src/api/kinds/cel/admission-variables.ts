const NAMES = [
  'object',
  'oldObject',
  'request',
  'params',
  'namespaceObject',
  'variables',
  'authorizer',
  'authorizer.requestResource',
];

/** What expressions of admission may read when they run; which of them, and of what types, was checked when they were written. */
export const ADMISSION_VARIABLES: ReadonlyMap<string, undefined> = new Map(
  NAMES.map((name) => [name, undefined]),
);
