import { Buffer } from 'node:buffer';
import type { Beginning } from '../cache/beginnings.ts';
import type { StoredObject } from '../cache/stored-object.ts';
import { SHARED_BEGINNING_MAX_BYTES, WATCH_CHUNK_BYTES } from '../limits.ts';
import { type Encoder, rawFrames } from './encoder.ts';
import type { ListScope } from './list.ts';

/**
 * What a watch of the scope begins with: the objects there are when this is called, as ADDED events.
 * @param frameOf the event of one object, for encoders whose bytes are not the stored ones
 */
export function beginningOf(
  scope: ListScope,
  encoder: Encoder,
  frameOf: (entry: StoredObject) => Uint8Array,
): Beginning {
  const { cache, prefix, selection, views } = scope;
  if (encoder.raw && selection.everything && !views && !isLong(cache.range(prefix))) {
    return cache.beginning(prefix, encoder.id, (entries) => pieces(entries, rawAdded));
  }
  const entries = [...cache.range(prefix)];
  const added = encoder.raw
    ? rawAdded
    : (batch: readonly StoredObject[]) => Buffer.concat(batch.map(frameOf));
  const matching = (all: readonly StoredObject[]): Iterable<StoredObject> =>
    selection.everything ? all : matchesOf(all, scope);
  return {
    pieces: views
      ? converted(views(entries), (all) => pieces(matching(all), added))
      : pieces(matching(entries), added),
    [Symbol.dispose]: () => {},
  };
}

const rawAdded = (entries: readonly StoredObject[]): Buffer => rawFrames('ADDED', entries);

function isLong(entries: Iterable<StoredObject>): boolean {
  let sizeBytes = 0;
  for (const entry of entries) {
    sizeBytes += entry.sizeBytes();
    if (sizeBytes > SHARED_BEGINNING_MAX_BYTES) return true;
  }
  return false;
}

function* matchesOf(
  entries: readonly StoredObject[],
  { selection, cache }: ListScope,
): Generator<StoredObject> {
  for (const entry of entries) if (selection.matches(entry, cache.fieldsOf)) yield entry;
}

async function* converted(
  entries: Promise<readonly StoredObject[]>,
  piecesOf: (entries: readonly StoredObject[]) => Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield* piecesOf(await entries);
}

function* pieces(
  entries: Iterable<StoredObject>,
  added: (entries: readonly StoredObject[]) => Uint8Array,
): Generator<Uint8Array> {
  let batch: StoredObject[] = [];
  let sizeBytes = 0;
  for (const entry of entries) {
    batch.push(entry);
    sizeBytes += entry.sizeBytes();
    if (sizeBytes < WATCH_CHUNK_BYTES) continue;
    yield added(batch);
    batch = [];
    sizeBytes = 0;
  }
  if (batch.length > 0) yield added(batch);
}
