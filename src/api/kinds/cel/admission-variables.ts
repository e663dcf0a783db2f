/** What expressions of admission may read when they run; which of them, and of what types, was checked when they were written. */
export const ADMISSION_VARIABLES: ReadonlySet<string> = new Set([
  'object',
  'oldObject',
  'request',
  'params',
  'namespaceObject',
  'variables',
  'authorizer',
  'authorizer.requestResource',
]);
