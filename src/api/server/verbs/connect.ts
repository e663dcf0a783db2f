import { equalJson, type JsonObject } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { AdmissionRequest } from '../admission/admission.ts';
import type { ApiRequest } from '../http/request.ts';
import type { RequestInfo } from '../http/request-info.ts';
import { parseBoolean } from './list-options.ts';
import { warningHeader } from './options.ts';
import type { SubresourceHandler } from './dispatch.ts';

type Read = (request: ApiRequest, info: RequestInfo) => JsonObject;

/** Streams of a container: what is false or absent is left out, as Go writes it. */
function streamOptions({ query }: ApiRequest): JsonObject {
  const streams = ['stdin', 'stdout', 'stderr', 'tty'].filter((name) => parseBoolean(query, name) === true);
  const container = query.get('container');
  return { ...Object.fromEntries(streams.map((name) => [name, true])), ...(container && { container }) };
}

const execOptions: Read = (request) => {
  const command = request.query.getAll('command');
  return { ...streamOptions(request), command: command.length > 0 ? command : null };
};

const portForwardOptions: Read = ({ query }) => {
  const texts = query.getAll('ports').flatMap((text) => text.split(','));
  const ports = texts.map(Number).filter((port) => Number.isInteger(port) && port > 0);
  return ports.length > 0 ? { ports } : {};
};

/** What stands behind /proxy. */
const proxyOptions: Read = ({ path }, { subresource }) => {
  const at = path.indexOf(`/${subresource}/`);
  return at < 0 ? {} : { path: path.slice(at + subresource.length + 1) };
};

/** Kinds of the options of a connection, after the kind of the object (meta: core/v1). */
const CONNECTIONS: Readonly<Record<string, { readonly suffix: string; readonly read: Read }>> = {
  exec: { suffix: 'ExecOptions', read: execOptions },
  attach: { suffix: 'AttachOptions', read: streamOptions },
  portforward: { suffix: 'PortForwardOptions', read: portForwardOptions },
  proxy: { suffix: 'ProxyOptions', read: proxyOptions },
};

/** Lets webhooks and policies judge a connection, and change the options of one to a container, before it is made. */
export function admitted(handler: SubresourceHandler): SubresourceHandler {
  return async (call) => {
    const { core, kind, info, request, user } = call;
    const connection = CONNECTIONS[info.subresource];
    if (!connection) return await handler(call);
    const warnings: string[] = [];
    const asked = connection.read(request, info);
    const object = { kind: kind.kind + connection.suffix, apiVersion: 'v1', ...asked };
    const admission: AdmissionRequest = {
      operation: 'CONNECT',
      kind,
      subresource: info.subresource,
      namespace: info.namespace,
      name: info.name,
      // Options have no metadata; nothing that judges connections looks for one.
      object: object as unknown as UnknownObject,
      old: undefined,
      user,
      dryRun: false,
      options: {},
      warn: (text) => void warnings.push(text),
      ...(request.annotate && { annotate: request.annotate }),
    };
    await core.admission.connect(admission);
    const { kind: _kind, apiVersion: _version, ...left } = admission.object as unknown as JsonObject;
    const changed = info.subresource !== 'proxy' && !equalJson(left, asked);
    const reply = await handler(changed ? { ...call, request: { ...request, query: queryOf(left) } } : call);
    const header = reply && warningHeader(warnings);
    return header ? { ...reply, headers: { ...reply.headers, ...header } } : reply;
  };
}

function queryOf(options: JsonObject): URLSearchParams {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(options)) {
    const texts = Array.isArray(value) ? (value as unknown[]) : [value ?? []].flat();
    for (const one of texts) query.append(name, String(one));
  }
  return query;
}
