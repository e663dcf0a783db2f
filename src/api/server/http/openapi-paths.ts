import { createHash } from 'node:crypto';
import { servedVersions, type ServedVersion } from '../../kinds/discovery.ts';
import { loadDescriptions } from '../../kinds/openapi/descriptions.ts';
import { openApiV2, openApiV3 } from '../../kinds/openapi/document.ts';
import { encodeOpenApiV2 } from '../../kinds/openapi/gnostic.ts';
import type { KindRegistry } from '../../kinds/registry.ts';
import type { PathHandler } from '../handler.ts';
import { methodNotAllowed } from '../status.ts';
import { SERVER_VERSION } from './health.ts';
import type { ApiRequest } from './request.ts';
import { jsonReply, type Reply } from './reply.ts';

const FAR_FUTURE_MS = 365 * 86_400_000;

/**
 * /openapi/v3: an index with one content hash a group-version, and the documents. A document is built when it is
 * first asked for and kept while its hash stands; clients keep it by the hash, too.
 */
export function openApiPaths(registry: KindRegistry, nowMs: () => number): PathHandler {
  let version = -1;
  let index: Readonly<Record<string, { serverRelativeURL: string }>> = {};
  let served = new Map<string, { readonly hash: string; readonly of: ServedVersion }>();
  const documents = new Map<string, Promise<Uint8Array>>();
  const v2 = openApiV2Reply(registry);
  const refresh = (): void => {
    if (version === registry.version) return;
    version = registry.version;
    served = new Map(
      servedVersions(registry.all()).map((one) => [pathOf(one), { hash: hashOf(one), of: one }]),
    );
    index = Object.fromEntries(
      [...served].map(([path, { hash }]) => [
        path,
        { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` },
      ]),
    );
    const current = new Set([...served.values()].map(({ hash }) => hash));
    for (const hash of documents.keys()) if (!current.has(hash)) documents.delete(hash);
  };
  const documentOf = (hash: string, of: ServedVersion): Promise<Uint8Array> => {
    let document = documents.get(hash);
    if (!document) {
      document = build(of);
      documents.set(hash, document);
      document.catch(() => documents.delete(hash));
    }
    return document;
  };
  return async (request): Promise<Reply | undefined> => {
    const path = request.path.replace(/\/$/, '');
    if (path === '/openapi/v2') {
      refresh();
      return await v2(request);
    }
    if (path !== '/openapi/v3' && !path.startsWith('/openapi/v3/')) return undefined;
    if (request.method !== 'GET' && request.method !== 'HEAD') throw methodNotAllowed();
    refresh();
    if (path === '/openapi/v3') return jsonReply(200, { paths: index });
    const found = served.get(path.slice('/openapi/v3/'.length));
    if (!found) return undefined;
    const etag = `"${found.hash}"`;
    const fixed = request.query.get('hash') === found.hash;
    const headers = {
      'content-type': 'application/json',
      etag,
      vary: 'Accept',
      ...(fixed && {
        'cache-control': 'public, immutable',
        expires: new Date(nowMs() + FAR_FUTURE_MS).toUTCString(),
      }),
    };
    if (request.headers['if-none-match'] === etag) return { status: 304, headers, body: new Uint8Array() };
    return { status: 200, headers, body: await documentOf(found.hash, found.of) };
  };
}

/** Clients ask for it with an @, which Go does not take for a media type in a reply. */
const V2_PROTOBUF = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf';

/** /openapi/v2 for clients before 1.27: protobuf when they ask for it, else JSON. Kept until a kind changes. */
function openApiV2Reply(registry: KindRegistry): (request: ApiRequest) => Promise<Reply> {
  let version = -1;
  const forms = new Map<string, Uint8Array>();
  return async (request) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') throw methodNotAllowed();
    if (version !== registry.version) {
      version = registry.version;
      forms.clear();
    }
    const protobuf = request.headers['accept']?.includes('proto-openapi.spec.v2') === true;
    const type = protobuf ? V2_PROTOBUF : 'application/json';
    let body = forms.get(type);
    if (!body) {
      const document = openApiV2(registry.all(), await loadDescriptions());
      body = protobuf ? encodeOpenApiV2(document) : Buffer.from(JSON.stringify(document), 'utf8');
      forms.set(type, body);
    }
    const etag = `"${createHash('sha256').update(body).digest('hex').toUpperCase()}"`;
    const headers = { 'content-type': type, etag, vary: 'Accept' };
    if (request.headers['if-none-match'] === etag) return { status: 304, headers, body: new Uint8Array() };
    return { status: 200, headers, body };
  };
}

async function build({ kinds }: ServedVersion): Promise<Uint8Array> {
  return Buffer.from(JSON.stringify(openApiV3(kinds, await loadDescriptions())), 'utf8');
}

const pathOf = ({ group, version }: ServedVersion): string =>
  group ? `apis/${group}/${version}` : `api/${version}`;

/** Built-in documents change only with the program, custom ones with their schema. */
function hashOf({ kinds }: ServedVersion): string {
  const hash = createHash('sha512').update(SERVER_VERSION.gitVersion);
  for (const kind of kinds) {
    hash.update(`${kind.plural}/${kind.kind}/${kind.subresources.map((one) => one.name).join()}`);
    if (kind.openApiSchema !== undefined) hash.update(JSON.stringify(kind.openApiSchema));
  }
  return hash.digest('hex').toUpperCase();
}
