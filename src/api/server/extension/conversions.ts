import { randomUUID } from 'node:crypto';
import { arrayAt, isObject, objectAt, stringAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { joinApiVersion, type KindInfo } from '../../kinds/registry.ts';
import type { WebhookClient } from '../admission/dynamic/webhook-client.ts';
import { encodeStored, ParsedObjects, StoredObject } from '../cache/stored-object.ts';
import { CONVERSION_BATCH_MAX_BYTES, CONVERSION_TIMEOUT_SECONDS } from '../limits.ts';
import { StatusError } from '../status.ts';
import { toStored } from '../verbs/versions.ts';

const REVIEW = { kind: 'ConversionReview', apiVersion: 'apiextensions.k8s.io/v1' } as const;

/**
 * Custom objects in the versions of a definition with `conversion.strategy: Webhook`. An entry of the cache is as it
 * was written; a view of it is what one version serves, asked of the webhook once for all who read it. Kinds without
 * a webhook pass through. Failures are 500 in upstream's words, for the one request alone.
 */
export class Conversions {
  readonly #client: () => WebhookClient;
  /** By kind, so that a changed definition begins anew; entries are let go with the cache's. */
  readonly #views = new WeakMap<KindInfo, WeakMap<StoredObject, Promise<StoredObject>>>();
  readonly #parsed = new ParsedObjects();

  constructor(client: () => WebhookClient) {
    this.#client = client;
  }

  async view(kind: KindInfo, entry: StoredObject): Promise<StoredObject> {
    if (!kind.conversionWebhook) return entry;
    const [view = entry] = await this.views(kind, [entry]);
    return view;
  }

  /** In the order given. */
  async views(kind: KindInfo, entries: readonly StoredObject[]): Promise<readonly StoredObject[]> {
    if (!kind.conversionWebhook) return entries;
    const known = this.#viewsOf(kind);
    const wanted = joinApiVersion(kind.group, kind.version);
    const others = entries.filter((entry) => entry.object.apiVersion !== wanted && !known.has(entry));
    for (const batch of batches(others)) {
      const converting = this.#convert(kind, wanted, batch);
      for (const [index, entry] of batch.entries()) {
        const view = converting.then((objects) => this.#viewOf(entry, objects[index]!));
        known.set(entry, view);
        // Asked again by the next reader; who waits for it now is told below.
        view.catch(() => known.delete(entry));
      }
    }
    return await Promise.all(entries.map((entry) => known.get(entry) ?? Promise.resolve(entry)));
  }

  /** The object as it is stored. May share parts with the argument. */
  async toStorage(kind: KindInfo, object: UnknownObject): Promise<UnknownObject> {
    const { group, version } = kind.storage.kind;
    if (!kind.conversionWebhook || version === kind.version) return toStored(kind, object);
    const wanted = joinApiVersion(group, version);
    const [converted = object] = await this.#ask(kind, wanted, [object]);
    return converted;
  }

  #viewsOf(kind: KindInfo): WeakMap<StoredObject, Promise<StoredObject>> {
    let views = this.#views.get(kind);
    if (!views) {
      views = new WeakMap();
      this.#views.set(kind, views);
    }
    return views;
  }

  #viewOf({ key, namespace, name, revision }: StoredObject, object: UnknownObject): StoredObject {
    const bytes = encodeStored(object);
    return new StoredObject(this.#parsed, { key, namespace, name, revision, bytes });
  }

  #convert(kind: KindInfo, wanted: string, entries: readonly StoredObject[]): Promise<UnknownObject[]> {
    return this.#ask(
      kind,
      wanted,
      entries.map(({ object }) => object),
    );
  }

  async #ask(kind: KindInfo, wanted: string, objects: readonly UnknownObject[]): Promise<UnknownObject[]> {
    const { conversionWebhook: webhook } = kind;
    const uid = randomUUID();
    const review = { ...REVIEW, request: { uid, desiredAPIVersion: wanted, objects } };
    const reply = await this.#client().post(
      objectAt(webhook, 'clientConfig'),
      JSON.stringify(review),
      CONVERSION_TIMEOUT_SECONDS,
    );
    const converted = reply.ok ? convertedObjects(reply.text, uid) : reply.message;
    const why = typeof converted === 'string' ? converted : mismatch(converted, objects, wanted);
    if (why !== undefined) {
      const said = `conversion webhook for ${objects[0]?.apiVersion}, Kind=${kind.kind} failed: ${why}`;
      throw new StatusError(500, '', said);
    }
    return (converted as UnknownObject[]).map((object, index) => restored(object, objects[index]!));
  }
}

/** In requests of about CONVERSION_BATCH_MAX_BYTES. */
function* batches(entries: readonly StoredObject[]): Generator<readonly StoredObject[]> {
  let batch: StoredObject[] = [];
  let sizeBytes = 0;
  for (const entry of entries) {
    batch.push(entry);
    sizeBytes += entry.bytes.length;
    if (sizeBytes < CONVERSION_BATCH_MAX_BYTES) continue;
    yield batch;
    batch = [];
    sizeBytes = 0;
  }
  if (batch.length > 0) yield batch;
}

function convertedObjects(text: string, uid: string): unknown[] | string {
  let value: unknown;
  try {
    value = JSON.parse(text) as unknown;
  } catch {
    return 'the reply is no JSON';
  }
  if (!isObject(value) || value['kind'] !== REVIEW.kind || value['apiVersion'] !== REVIEW.apiVersion) {
    return `expected the reply to be a ${REVIEW.kind} of ${REVIEW.apiVersion}`;
  }
  const response = objectAt(value, 'response');
  if (response['uid'] !== uid)
    return `expected response.uid="${uid}", got ${JSON.stringify(response['uid'])}`;
  const result = objectAt(response, 'result');
  if (result['status'] !== 'Success') return stringAt(result, 'message') || 'the webhook gave no reason';
  return arrayAt(response, 'convertedObjects');
}

/** Why these cannot be the same objects in another version; undefined: they can. */
function mismatch(
  converted: readonly unknown[],
  objects: readonly UnknownObject[],
  wanted: string,
): string | undefined {
  if (converted.length !== objects.length) {
    return `webhook returned ${converted.length} objects, expected ${objects.length}`;
  }
  for (const [index, object] of converted.entries()) {
    const at = `webhook returned invalid converted object at index ${index}`;
    const original = objects[index]!;
    if (!isObject(object)) return `${at}: it is no object`;
    if (object['apiVersion'] !== wanted)
      return `${at}: invalid groupVersion (expected: ${wanted}, got: ${String(object['apiVersion'])})`;
    if (object['kind'] !== original.kind)
      return `${at}: invalid kind (expected: ${original.kind}, got: ${String(object['kind'])})`;
    const metadata = objectAt(object, 'metadata');
    for (const field of ['name', 'namespace', 'uid'] as const) {
      if (metadata[field] !== original.metadata[field]) return `${at}: it must not change metadata.${field}`;
    }
  }
  return undefined;
}

/** A webhook may change labels and annotations; all other metadata is the server's. */
function restored(converted: UnknownObject, original: UnknownObject): UnknownObject {
  const { labels, annotations } = converted.metadata;
  const { labels: _labels, annotations: _annotations, ...metadata } = original.metadata;
  return {
    ...converted,
    metadata: { ...metadata, ...(labels && { labels }), ...(annotations && { annotations }) },
  };
}
