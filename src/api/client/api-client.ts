import { type Clock, sleep, systemClock } from '../../base/clock.ts';
import { Fault, messageOf } from '../../base/fault.ts';
import type { HttpExchange, HttpRequest, HttpResponse } from '../../net/http-exchange.ts';
import type { KubeObject, UnknownObject } from '../kinds/meta.ts';
import {
  type ApiClient,
  ApiError,
  type ListResult,
  type PatchType,
  type Resource,
  type WatchEvent,
  type WriteOptions,
} from './client.ts';
import {
  MAX_REPLY_BYTES,
  MAX_RETRY_AFTER_ATTEMPTS,
  MAX_RETRY_AFTER_MS,
  MAX_WATCH_EVENT_BYTES,
} from './limits.ts';
import { splitLines } from './ndjson.ts';
import {
  apiVersionOf,
  collectionPath,
  listParameters,
  objectPath,
  queryString,
  watchParameters,
} from './paths.ts';

export interface ApiClientOptions {
  /** Sent as User-Agent; its part up to `/` is the field manager of writes that name none. */
  readonly userAgent?: string;
  readonly clock?: Clock;
}

const PATCH_MEDIA: Readonly<Record<PatchType, string>> = {
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  json: 'application/json-patch+json',
  apply: 'application/apply-patch+yaml',
};

const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';
const RETRYABLE = new Set([429, 503]);
const encoder = new TextEncoder();

interface Call {
  readonly method: string;
  readonly target: string;
  readonly body?: unknown;
  readonly media?: string;
}

/** The client over any exchange: in-process, or a socket (openHttpExchange). */
export function createApiClient(exchange: HttpExchange, options: ApiClientOptions = {}): ApiClient {
  const send = sender(exchange, options);
  const json = async <T>(call: Call, signal?: AbortSignal): Promise<T> => {
    const abort = signal ?? new AbortController().signal;
    const response = await send(call, abort);
    return parse(await readAll(response, call), call) as T;
  };
  return {
    get: (resource, name, namespace, signal) =>
      json({ method: 'GET', target: objectPath(resource, name, namespace) }, signal),
    list: async (resource, query = {}, signal) => {
      const target = collectionPath(resource, query.namespace) + queryString(listParameters(query));
      return listResult(resource, await json<RawList>({ method: 'GET', target }, signal));
    },
    watch: (resource, query, signal) => {
      const target = collectionPath(resource, query.namespace) + queryString(watchParameters(query));
      return watchEvents(send, { method: 'GET', target }, signal);
    },
    create: (resource, object, write = {}) => {
      const { namespace, name } = object.metadata;
      const path = write.subresource
        ? objectPath(resource, name, namespace, write.subresource)
        : collectionPath(resource, namespace);
      const call = { method: 'POST', target: path + writeQuery(write), body: object };
      return json(call, write.signal);
    },
    update: (resource, object, write = {}) => {
      const { namespace, name } = object.metadata;
      const path = objectPath(resource, name, namespace, write.subresource);
      return json({ method: 'PUT', target: path + writeQuery(write), body: object }, write.signal);
    },
    patch: (resource, name, namespace, type, patch, write = {}) => {
      const path = objectPath(resource, name, namespace, write.subresource) + writeQuery(write);
      return json({ method: 'PATCH', target: path, body: patch, media: PATCH_MEDIA[type] }, write.signal);
    },
    delete: async (resource, name, namespace, { signal, ...body } = {}) => {
      const target = objectPath(resource, name, namespace);
      await json(
        { method: 'DELETE', target, body: { kind: 'DeleteOptions', apiVersion: 'v1', ...body } },
        signal,
      );
    },
    deleteCollection: async (resource, query = {}, signal) => {
      const target = collectionPath(resource, query.namespace) + queryString(listParameters(query));
      await json({ method: 'DELETE', target }, signal);
    },
    read: (path, signal) => json({ method: 'GET', target: path }, signal),
  };
}

type Send = (call: Call, signal: AbortSignal) => Promise<HttpResponse>;

/** Adds headers, turns error replies into ApiError and lost ones into Fault API_UNREACHABLE. */
function sender(exchange: HttpExchange, options: ApiClientOptions): Send {
  const clock = options.clock ?? systemClock;
  const base = { accept: 'application/json', 'user-agent': options.userAgent ?? 'weft' };
  return async (call, signal) => {
    const request: HttpRequest = {
      method: call.method,
      target: call.target,
      headers: call.body === undefined ? base : { ...base, 'content-type': call.media ?? 'application/json' },
      ...(call.body !== undefined && { body: encoder.encode(JSON.stringify(call.body)) }),
    };
    for (let attempt = 1; ; attempt++) {
      const response = await exchange(request, signal).catch((cause: unknown) => {
        throw unreachable(call, cause, signal);
      });
      if (response.status >= 200 && response.status < 300) return response;
      const error = await apiError(response, call);
      const delayMs = retryAfterMs(response);
      if (!RETRYABLE.has(response.status) || delayMs === undefined) throw error;
      if (attempt > MAX_RETRY_AFTER_ATTEMPTS || delayMs > MAX_RETRY_AFTER_MS) throw error;
      await sleep(clock, delayMs, signal);
    }
  };
}

function unreachable(call: Call, cause: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  return new Fault('API_UNREACHABLE', `${call.method} ${call.target}: ${messageOf(cause)}`, { cause });
}

function retryAfterMs(response: HttpResponse): number | undefined {
  const text = response.headers['retry-after'];
  return text !== undefined && /^\d{1,6}$/.test(text) ? Number(text) * 1000 : undefined;
}

async function apiError(response: HttpResponse, call: Call): Promise<ApiError> {
  const text = await readAll(response, call);
  let body: UnknownObject | undefined;
  try {
    body = JSON.parse(text) as UnknownObject;
  } catch {
    body = undefined; // a proxy's HTML page: the HTTP status says it all
  }
  return statusError(response.status, body, `${call.method} ${call.target}`);
}

function statusError(status: number, body: UnknownObject | undefined, what: string): ApiError {
  const isStatus = body?.kind === 'Status';
  const reason = isStatus && typeof body.reason === 'string' ? body.reason : '';
  const message = isStatus && typeof body.message === 'string' ? body.message : '';
  return new ApiError(status, reason, message || `${what}: HTTP ${status}`, body);
}

async function readAll(response: HttpResponse, call: Call): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  try {
    for await (const chunk of response.body) {
      sizeBytes += chunk.length;
      if (sizeBytes > MAX_REPLY_BYTES) {
        throw new Fault(
          'API_REPLY_TOO_LARGE',
          `${call.method} ${call.target}: reply over ${MAX_REPLY_BYTES} bytes`,
        );
      }
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    throw new Fault('API_UNREACHABLE', `${call.method} ${call.target}: ${messageOf(cause)}`, { cause });
  }
  const whole = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
  return new TextDecoder().decode(whole);
}

function parse(text: string, call: Call): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new Fault('API_BAD_REPLY', `${call.method} ${call.target}: the reply is not JSON`, { cause });
  }
}

interface RawList {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: KubeObject[] | null;
}

/** Items of a typed list carry no apiVersion and kind of their own; they are filled in. */
function listResult<T extends KubeObject>(resource: Resource, list: RawList): ListResult<T> {
  const apiVersion = apiVersionOf(resource);
  const items = (list.items ?? []).map((item) => {
    const whole = item.kind ? item : { ...item, apiVersion, kind: resource.kind };
    return whole as T;
  });
  return {
    items,
    resourceVersion: list.metadata?.resourceVersion ?? '',
    continueToken: list.metadata?.continue || undefined,
  };
}

function writeQuery(options: WriteOptions): string {
  return queryString({
    fieldManager: options.fieldManager,
    force: options.force,
    dryRun: options.dryRun ? 'All' : undefined,
  });
}

async function* watchEvents<T extends KubeObject>(
  send: Send,
  call: Call,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent<T>> {
  const response = await send(call, signal);
  try {
    for await (const line of splitLines(response.body, MAX_WATCH_EVENT_BYTES)) {
      const event = watchEvent(parse(line, call) as RawEvent);
      if (event) yield event as WatchEvent<T>;
    }
  } catch (cause) {
    if (cause instanceof Fault || cause instanceof ApiError) throw cause;
    throw unreachable(call, cause, signal);
  }
}

interface RawEvent {
  readonly type: string;
  readonly object: UnknownObject;
}

/** Undefined for types a later server may add. Throws ApiError for an ERROR event. */
function watchEvent(raw: RawEvent): WatchEvent<KubeObject> | undefined {
  switch (raw.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type: raw.type, object: raw.object };
    case 'BOOKMARK':
      return {
        type: 'BOOKMARK',
        resourceVersion: raw.object.metadata.resourceVersion ?? '',
        initialEventsEnd: raw.object.metadata.annotations?.[INITIAL_EVENTS_END] === 'true',
      };
    case 'ERROR':
      throw statusError(typeof raw.object.code === 'number' ? raw.object.code : 500, raw.object, 'watch');
    default:
      return undefined;
  }
}
