/**
 * The URL of a sibling module for `new Worker(...)`: `.ts` when run from a clone, `.js` when run from a build.
 * @param importer `import.meta.url` of the caller
 * @param stem the relative path without ending, for example './worker'
 */
export function siblingModule(importer: string, stem: string): URL {
  const ending = importer.endsWith('.ts') ? '.ts' : '.js';
  return new URL(stem + ending, importer);
}
