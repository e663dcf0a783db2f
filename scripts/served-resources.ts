import { type GroupVersionKind, type Operation, shortName, type Swagger } from './swagger.ts';

export interface Resource {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
  readonly verbs: string[];
  readonly subresources: { name: string; verbs: string[]; kind: GroupVersionKind }[];
  readonly definition: string;
}

const VERBS: Readonly<Record<string, string>> = {
  get: 'get',
  list: 'list',
  watch: 'watch',
  watchlist: 'watch',
  post: 'create',
  put: 'update',
  patch: 'patch',
  delete: 'delete',
  deletecollection: 'deletecollection',
};

/** Reads plural, scope, verbs and subresources of the wanted kinds out of the document's paths. */
export function readResources(
  swagger: Swagger,
  wanted: readonly (readonly [string, ...string[]])[],
): Resource[] {
  const resources = new Map<string, Resource>();
  for (const [path, operations] of Object.entries(swagger.paths))
    addPath(path, operations, swagger, resources);
  return wanted.flatMap(([groupVersion, ...kinds]) =>
    kinds.map((kind) => {
      const found = [...resources.values()].find(
        (one) => one.kind === kind && `${one.group}/${one.version}`.replace(/^\//, '') === groupVersion,
      );
      if (!found) throw new Error(`${groupVersion} ${kind} is not in the document`);
      found.verbs.sort();
      for (const subresource of found.subresources) subresource.verbs.sort();
      return found;
    }),
  );
}

const PATH =
  /^\/apis?\/(?:([^/]+)\/)?(v\d\w*)\/(?:watch\/)?(namespaces\/\{namespace\}\/)?([a-z]+)(?:\/\{name\}(?:\/([a-z]+))?(\/\{path\})?)?$/;

function addPath(
  path: string,
  operations: Readonly<Record<string, Operation | undefined>>,
  swagger: Swagger,
  resources: Map<string, Resource>,
): void {
  const match = PATH.exec(path);
  if (!match || match[6]) return;
  const [, group = '', version = '', scope, plural = '', subresource] = match;
  for (const operation of Object.values(operations)) {
    const action = operation?.['x-kubernetes-action'];
    const kind = operation?.['x-kubernetes-group-version-kind'];
    if (!action || !kind) continue;
    const key = `${group}/${version}/${plural}`;
    if (subresource) {
      addSubresource(resources.get(key), subresource, action, kind);
      continue;
    }
    let resource = resources.get(key);
    if (!resource) {
      const definition = findDefinition(swagger, kind);
      if (!definition) continue;
      resource = {
        ...kind,
        group,
        version,
        plural,
        namespaced: false,
        verbs: [],
        subresources: [],
        definition,
      };
      resources.set(key, resource);
    }
    if (scope) (resource as { namespaced: boolean }).namespaced = true;
    addVerb(resource.verbs, action);
  }
}

function addSubresource(
  resource: Resource | undefined,
  name: string,
  action: string,
  kind: GroupVersionKind,
): void {
  if (!resource) return;
  let found = resource.subresources.find((one) => one.name === name);
  if (!found) {
    found = { name, verbs: [], kind: { group: kind.group, version: kind.version, kind: kind.kind } };
    resource.subresources.push(found);
  }
  // Connect subresources (exec, proxy) are discovered with create and get.
  if (action === 'connect') for (const verb of ['get', 'post']) addVerb(found.verbs, verb);
  else addVerb(found.verbs, action);
}

function addVerb(verbs: string[], action: string): void {
  const verb = VERBS[action];
  if (verb && !verbs.includes(verb)) verbs.push(verb);
}

function findDefinition(swagger: Swagger, wanted: GroupVersionKind): string | undefined {
  for (const [name, definition] of Object.entries(swagger.definitions)) {
    const kinds = definition['x-kubernetes-group-version-kind'] ?? [];
    const hit = kinds.some(
      (kind) => kind.group === wanted.group && kind.version === wanted.version && kind.kind === wanted.kind,
    );
    if (hit) return shortName(name);
  }
  return undefined;
}
