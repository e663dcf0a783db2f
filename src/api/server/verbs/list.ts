import { Buffer } from 'node:buffer';
import { hasCode } from '../../../base/fault.ts';
import { type Store, STORE_COMPACTED } from '../../../store/store.ts';
import type { WatchHub } from '../cache/hub.ts';
import type { ResourceCache } from '../cache/resource-cache.ts';
import type { StoredObject } from '../cache/stored-object.ts';
import { BodyPool } from '../http/body-pool.ts';
import type { Reply, StreamBody } from '../http/reply.ts';
import { LIST_CHUNK_BYTES } from '../limits.ts';
import { badRequest, expired } from '../status.ts';
import type { Encoder } from './encoder.ts';
import { decodeContinue, encodeContinue, type ListOptions, parseRevision } from './list-options.ts';
import type { Selection } from './selection.ts';

export interface PageDeps {
  readonly hub: WatchHub;
  readonly store: Store;
}

export interface ListDeps extends PageDeps {
  /** Waits for the user's turn to go on. */
  readonly nextSlice: () => Promise<void>;
}

export interface ListScope {
  readonly cache: ResourceCache;
  /** Key prefix: the collection, or one namespace of it. */
  readonly prefix: string;
  readonly selection: Selection;
  /** Entries as this version serves them, where a webhook has to be asked. */
  readonly views?: (entries: readonly StoredObject[]) => Promise<readonly StoredObject[]>;
}

export interface Page {
  readonly entries: StoredObject[];
  readonly revision: number;
  /** Key of the last entry when there is more. */
  readonly after: string | undefined;
  readonly remaining: number | undefined;
}

/** Answers a list: picks the revision by the rules of resourceVersion, then serves from memory when it can. */
export async function list(
  deps: ListDeps,
  scope: ListScope,
  options: ListOptions,
  encoder: Encoder,
): Promise<Reply> {
  const page = await selectPage(deps, scope, options);
  const head = encoder.listHead({
    resourceVersion: String(page.revision),
    continue:
      page.after === undefined
        ? undefined
        : encodeContinue({ revision: page.revision, after: page.after }, scope.cache.prefix),
    remainingItemCount: page.remaining,
  });
  return {
    status: 200,
    headers: { 'content-type': encoder.contentType },
    ...encodeList(
      head,
      scope.views ? await scope.views(page.entries) : page.entries,
      encoder,
      deps.nextSlice,
    ),
  };
}

export async function selectPage(deps: PageDeps, scope: ListScope, options: ListOptions): Promise<Page> {
  const asked = parseRevision(options.resourceVersion);
  if (options.continueToken) return await continuePage(deps, scope, options, asked);
  if (asked === undefined) {
    await deps.hub.fresh();
    return presentPage(deps, scope, options, '');
  }
  if (asked > 0) await deps.hub.reach(asked);
  const exact =
    options.resourceVersionMatch === 'Exact' ||
    (options.resourceVersionMatch === '' && options.limit > 0 && asked > 0);
  return exact ? await pageAt(deps, scope, options, asked, '') : presentPage(deps, scope, options, '');
}

async function continuePage(
  deps: PageDeps,
  scope: ListScope,
  options: ListOptions,
  asked: number | undefined,
): Promise<Page> {
  if (asked !== undefined && asked !== 0) {
    throw badRequest('specifying resource version is not allowed when using continue');
  }
  const token = decodeContinue(options.continueToken, scope.cache.prefix);
  if (token.revision < 0) return presentPage(deps, scope, options, token.after);
  await deps.hub.reach(token.revision);
  try {
    return await pageAt(deps, scope, options, token.revision, token.after);
  } catch (error) {
    if (!hasCode(error, STORE_COMPACTED)) throw error;
    const status = expired(
      'The provided continue parameter is too old to display a consistent list result. You can start a new ' +
        'list without the continue parameter, or use the continue token in this response to retrieve the ' +
        'remainder of the results. Continuing with the provided token results in an inconsistent list - ' +
        'objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.',
    );
    status.continueToken = encodeContinue({ revision: -1, after: token.after }, scope.cache.prefix);
    throw status;
  }
}

function presentPage(deps: PageDeps, scope: ListScope, options: ListOptions, after: string): Page {
  return cut(scope.cache.range(scope.prefix, after), scope, options.limit, deps.hub.revision);
}

async function pageAt(
  deps: PageDeps,
  scope: ListScope,
  options: ListOptions,
  revision: number,
  after: string,
): Promise<Page> {
  if (scope.cache.lastChange <= revision) {
    return cut(scope.cache.range(scope.prefix, after), scope, options.limit, revision);
  }
  const range = await deps.store.range(scope.prefix, { revision, ...(after && { after }) });
  const entries = range.entries.map((entry) => deps.hub.entry(entry)).filter((entry) => entry !== undefined);
  return cut(entries, scope, options.limit, revision);
}

/** The first `limit` matching entries; the rest is only counted. */
function cut(entries: Iterable<StoredObject>, scope: ListScope, limit: number, revision: number): Page {
  const { selection, cache } = scope;
  const page: StoredObject[] = [];
  let remaining = 0;
  for (const entry of entries) {
    if (!selection.everything && !selection.matches(entry, cache.fieldsOf)) continue;
    if (limit > 0 && page.length === limit) {
      remaining++;
      if (!selection.everything) break;
    } else {
      page.push(entry);
    }
  }
  return {
    entries: page,
    revision,
    after: remaining > 0 ? page.at(-1)?.key : undefined,
    remaining: remaining > 0 && selection.everything ? remaining : undefined,
  };
}

/** One buffer for a usual list; a stream of pieces for a long one, so that it is never held twice. */
export function encodeList(
  head: string,
  entries: readonly StoredObject[],
  encoder: Encoder,
  nextSlice?: () => Promise<void>,
): Pick<Reply, 'body' | 'release'> {
  let totalBytes = 0;
  for (const entry of entries) totalBytes += entry.sizeBytes();
  if (totalBytes <= LIST_CHUNK_BYTES * 4) {
    return encoder.raw
      ? rawList(head, entries, encoder.listTail, totalBytes)
      : { body: Buffer.concat([...listChunks(head, entries, encoder, Number.POSITIVE_INFINITY)]) };
  }
  const body: StreamBody = async (sink) => {
    for (const chunk of listChunks(head, entries, encoder, LIST_CHUNK_BYTES)) {
      if (sink.closed.aborted) return;
      sink.write(chunk);
      await sink.drained();
      await nextSlice?.();
    }
  };
  return { body };
}

function* listChunks(
  head: string,
  entries: readonly StoredObject[],
  encoder: Encoder,
  chunkBytes: number,
): Generator<Buffer> {
  yield Buffer.from(head, 'utf8');
  for (let from = 0; from < entries.length;) {
    let to = from;
    let size = 0;
    while (to < entries.length && size < chunkBytes) size += entries[to++]!.sizeBytes() + 1;
    const part = entries.slice(from, to);
    yield encoder.raw ? rawChunk(part, size, from > 0) : itemsChunk(part, encoder, from > 0);
    from = to;
  }
  yield Buffer.from(encoder.listTail, 'utf8');
}

const COMMA = 0x2c;
const pool = new BodyPool();

/** The whole list in one buffer: each byte is copied once. */
function rawList(
  head: string,
  entries: readonly StoredObject[],
  tail: string,
  itemsBytes: number,
): Pick<Reply, 'body' | 'release'> {
  const around = Buffer.byteLength(head) + Buffer.byteLength(tail);
  const { buffer: target, release } = pool.take(itemsBytes + entries.length + around);
  let at = target.write(head, 0, 'utf8');
  const first = at;
  for (const entry of entries) {
    if (at > first) target[at++] = COMMA;
    at = entry.writeTo(target, at);
  }
  at += target.write(tail, at, 'utf8');
  return { body: target.subarray(0, at), release };
}

function rawChunk(entries: readonly StoredObject[], sizeBytes: number, comma: boolean): Buffer {
  const target = Buffer.allocUnsafe(sizeBytes + 1);
  let at = 0;
  for (const entry of entries) {
    if (comma || at > 0) target[at++] = COMMA;
    at = entry.writeTo(target, at);
  }
  return target.subarray(0, at);
}

function itemsChunk(entries: readonly StoredObject[], encoder: Encoder, comma: boolean): Buffer {
  const parts: Buffer[] = [];
  const separator = Buffer.from(',');
  for (const entry of entries) {
    if (comma || parts.length > 0) parts.push(separator);
    parts.push(encoder.item(entry));
  }
  return Buffer.concat(parts);
}
