import { createHash } from 'node:crypto';
import {
  aggregatedDiscovery,
  apiGroup,
  apiGroupList,
  apiResourceList,
  apiVersions,
  type ServedVersion,
  servedVersions,
} from '../../kinds/discovery.ts';
import type { KindRegistry } from '../../kinds/registry.ts';
import type { PathHandler } from '../handler.ts';
import { methodNotAllowed } from '../status.ts';
import { parseMediaTypes } from './content.ts';
import { jsonReply, type Reply } from './reply.ts';
import type { ApiRequest } from './request.ts';

interface Document {
  readonly body: Uint8Array;
  readonly etag: string;
}

/** /api, /apis and what lies one or two levels below: what is served, in both forms. Built once a change. */
export function discoveryPaths(registry: KindRegistry, serverAddress: () => string): PathHandler {
  let version = -1;
  let served: ServedVersion[] = [];
  const documents = new Map<string, Document>();
  const refresh = (): void => {
    if (version === registry.version) return;
    version = registry.version;
    served = servedVersions(registry.all());
    documents.clear();
  };
  const document = (key: string, make: () => unknown): Document => {
    let known = documents.get(key);
    if (!known) {
      const body = Buffer.from(`${JSON.stringify(make())}\n`, 'utf8');
      known = { body, etag: `"${createHash('sha256').update(body).digest('hex').toUpperCase()}"` };
      documents.set(key, known);
    }
    return known;
  };
  return (request) => {
    const [, root, ...rest] = request.path.replace(/\/$/, '').split('/');
    if ((root !== 'api' && root !== 'apis') || rest.length > 2) return undefined;
    const isGroups = root === 'apis' && rest.length === 0;
    if (request.method !== 'GET' && !(request.method === 'HEAD' && isGroups)) throw methodNotAllowed();
    refresh();
    if (rest.length === 0) {
      const form = aggregatedForm(request);
      const core = root === 'api';
      if (!form) {
        return jsonReply(200, core ? apiVersions(serverAddress()) : apiGroupList(served));
      }
      return tagged(
        request,
        document(`${root} ${form}`, () => aggregatedDiscovery(served, core, form)),
        `application/json;g=apidiscovery.k8s.io;v=${form};as=APIGroupDiscoveryList`,
      );
    }
    const [first = '', second] = rest;
    const found =
      root === 'api'
        ? second === undefined && apiResourceList(served, '', first)
        : second === undefined
          ? apiGroup(served, first)
          : apiResourceList(served, first, second);
    return found ? jsonReply(200, found) : undefined;
  };
}

/** The newest aggregated form the client accepts; undefined = the old, unaggregated one. */
function aggregatedForm(request: ApiRequest): 'v2' | 'v2beta1' | undefined {
  for (const { parameters } of parseMediaTypes(request.headers['accept'] ?? '')) {
    const version = parameters.get('v');
    if (parameters.get('as') !== 'APIGroupDiscoveryList' || parameters.get('g') !== 'apidiscovery.k8s.io')
      continue;
    if (version === 'v2' || version === 'v2beta1') return version;
  }
  return undefined;
}

function tagged(request: ApiRequest, { body, etag }: Document, contentType: string): Reply {
  const headers = { 'content-type': contentType, etag, vary: 'Accept', 'cache-control': 'public' };
  if (request.headers['if-none-match'] === etag) return { status: 304, headers, body: new Uint8Array() };
  return { status: 200, headers, body };
}
