/** What a request is about, read from method, path and query alone (apiserver's RequestInfo). */
export interface RequestInfo {
  /** False for /healthz, /version, /openapi and the like. */
  readonly isResource: boolean;
  /** get, list, watch, create, update, patch, delete, deletecollection, proxy ...; lower-case method otherwise. */
  readonly verb: string;
  readonly path: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  /** Path segments after the subresource, for proxy. */
  readonly rest: readonly string[];
}

export const READ_VERBS: ReadonlySet<string> = new Set(['get', 'list', 'watch']);

const VERBS: Readonly<Record<string, string>> = {
  POST: 'create',
  GET: 'get',
  HEAD: 'get',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};

/** Undefined when the path has tricks in it: empty segments, dots, bad escapes. */
export function parseRequestInfo(
  method: string,
  path: string,
  query: URLSearchParams,
): RequestInfo | undefined {
  const segments = decodeSegments(path);
  if (!segments) return undefined;
  const plain: RequestInfo = {
    isResource: false,
    verb: method.toLowerCase(),
    path,
    group: '',
    version: '',
    resource: '',
    subresource: '',
    namespace: '',
    name: '',
    rest: [],
  };
  const [root, ...after] = segments;
  const groupDepth = root === 'api' ? 0 : root === 'apis' ? 1 : undefined;
  if (groupDepth === undefined || after.length < groupDepth + 2) return plain;
  const group = groupDepth === 1 ? (after[0] ?? '') : '';
  const version = after[groupDepth] ?? '';
  return resourceInfo(
    { ...plain, isResource: true, group, version },
    method,
    after.slice(groupDepth + 1),
    query,
  );
}

function resourceInfo(
  base: RequestInfo,
  method: string,
  parts: readonly string[],
  query: URLSearchParams,
): RequestInfo {
  let rest = parts;
  let verb = VERBS[method] ?? method.toLowerCase();
  if (rest[0] === 'watch' && rest.length > 1) {
    rest = rest.slice(1);
    verb = 'watch';
  }
  let namespace = '';
  // /namespaces/x/pods is scoped; /namespaces/x and its subresources are about the namespace itself.
  if (rest[0] === 'namespaces' && rest.length > 1) {
    namespace = rest[1] ?? '';
    if (rest.length > 2 && !(base.group === '' && NAMESPACE_SUBRESOURCES.has(rest[2] ?? '')))
      rest = rest.slice(2);
  }
  const [resource = '', name = '', subresource = '', ...tail] = rest;
  if (!name) verb = collectionVerb(verb, query);
  else if (verb === 'get' && isTrue(query.get('watch'))) verb = 'watch';
  return { ...base, verb, namespace, resource, name, subresource, rest: tail };
}

const NAMESPACE_SUBRESOURCES: ReadonlySet<string> = new Set(['status', 'finalize']);

function collectionVerb(verb: string, query: URLSearchParams): string {
  if (verb === 'get') return isTrue(query.get('watch')) ? 'watch' : 'list';
  return verb === 'delete' ? 'deletecollection' : verb;
}

const isTrue = (text: string | null): boolean => text !== null && text !== 'false' && text !== '0';

/** A trailing slash is allowed; proxy paths keep what follows as it came. */
function decodeSegments(path: string): string[] | undefined {
  const trimmed = path.replace(/^\//, '').replace(/\/$/, '');
  const segments: string[] = [];
  for (const raw of trimmed.split('/')) {
    let segment: string;
    try {
      segment = decodeURIComponent(raw);
    } catch {
      return undefined;
    }
    const proxied = segments.includes('proxy');
    if (
      !proxied &&
      (segment === '.' || segment === '..' || segment.includes('/') || segment.includes('\0'))
    ) {
      return undefined;
    }
    segments.push(segment);
  }
  return segments;
}
