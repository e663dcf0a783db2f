import { Buffer } from 'node:buffer';
import { type Cell, joinApiVersion, type KindInfo } from '../../kinds/registry.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { EventType } from '../cache/resource-cache.ts';
import type { StoredObject } from '../cache/stored-object.ts';
import type { Accepted } from '../http/content.ts';
import { isStorageVersion, served } from './versions.ts';

/** Turns cached objects into reply bytes: items of a list, frames of a watch. */
export interface Encoder {
  /** Frames of encoders with the same id are interchangeable; '' = not shareable. */
  readonly id: string;
  readonly contentType: string;
  /** True when items are the stored bytes. */
  readonly raw: boolean;
  item(entry: StoredObject): Buffer;
  /** The `object` of a watch event; `first` asks for what only the first event carries. */
  eventObject(entry: StoredObject, first: boolean): Buffer;
  /** Everything before and after the items. */
  listHead(metadata: ListMeta): string;
  readonly listTail: string;
  bookmark(revision: number, initialEventsEnd: boolean): string;
}

export interface ListMeta {
  readonly resourceVersion: string;
  readonly continue?: string | undefined;
  readonly remainingItemCount?: number | undefined;
}

export type IncludeObject = 'None' | 'Metadata' | 'Object';

export interface EncoderOptions {
  readonly kind: KindInfo;
  readonly accepted: Accepted;
  readonly includeObject: IncludeObject;
  readonly nowMs: () => number;
}

export function createEncoder(options: EncoderOptions): Encoder {
  if (options.accepted.form === 'table') return tableEncoder(options);
  if (options.accepted.form === 'partial-metadata') return partialEncoder(options);
  return jsonEncoder(options.kind);
}

const metaJson = (metadata: ListMeta): string =>
  JSON.stringify({
    resourceVersion: metadata.resourceVersion,
    ...(metadata.continue && { continue: metadata.continue }),
    ...(metadata.remainingItemCount && { remainingItemCount: metadata.remainingItemCount }),
  });

const INITIAL_END = { 'k8s.io/initial-events-end': 'true' };

const bookmarkMeta = (revision: number, initialEventsEnd: boolean): object => ({
  resourceVersion: String(revision),
  ...(initialEventsEnd && { annotations: INITIAL_END }),
});

function jsonEncoder(kind: KindInfo): Encoder {
  const apiVersion = joinApiVersion(kind.group, kind.version);
  const raw = isStorageVersion(kind);
  const bytesOf = (entry: StoredObject): Buffer =>
    raw ? entry.toBuffer() : Buffer.from(JSON.stringify(served(kind, entry)), 'utf8');
  return {
    id: `json/${apiVersion}/${kind.kind}`,
    contentType: 'application/json',
    raw,
    item: bytesOf,
    eventObject: bytesOf,
    listHead: (metadata) =>
      `{"kind":"${kind.listKind}","apiVersion":"${apiVersion}","metadata":${metaJson(metadata)},"items":[`,
    listTail: ']}\n',
    bookmark: (revision, initialEventsEnd) =>
      JSON.stringify({ kind: kind.kind, apiVersion, metadata: bookmarkMeta(revision, initialEventsEnd) }),
  };
}

/** meta.k8s.io PartialObjectMetadata: what metadata-only informers ask for. */
export function partialMetadata(object: UnknownObject, metaVersion: string): UnknownObject {
  return {
    kind: 'PartialObjectMetadata',
    apiVersion: `meta.k8s.io/${metaVersion}`,
    metadata: object.metadata,
  };
}

function partialEncoder({ kind, accepted }: EncoderOptions): Encoder {
  const apiVersion = `meta.k8s.io/${accepted.metaVersion}`;
  const bytesOf = (entry: StoredObject): Buffer =>
    Buffer.from(JSON.stringify(partialMetadata(served(kind, entry), accepted.metaVersion)), 'utf8');
  return {
    id: `partial/${accepted.metaVersion}/${kind.group}/${kind.version}/${kind.kind}`,
    contentType: `application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=${accepted.metaVersion}`,
    raw: false,
    item: bytesOf,
    eventObject: bytesOf,
    listHead: (metadata) =>
      `{"kind":"PartialObjectMetadataList","apiVersion":"${apiVersion}","metadata":${metaJson(metadata)},"items":[`,
    listTail: ']}\n',
    bookmark: (revision, initialEventsEnd) =>
      JSON.stringify({
        kind: 'PartialObjectMetadata',
        apiVersion,
        metadata: bookmarkMeta(revision, initialEventsEnd),
      }),
  };
}

interface TableRow {
  readonly cells: Cell[];
  readonly object: unknown;
}

function tableEncoder({ kind, accepted, includeObject, nowMs }: EncoderOptions): Encoder {
  const apiVersion = `meta.k8s.io/${accepted.metaVersion}`;
  const columns = JSON.stringify(kind.printer.columns);
  const rowOf = (entry: StoredObject): TableRow => {
    const object = served(kind, entry);
    return {
      cells: kind.printer.row(object, nowMs()),
      object: rowObject(object, includeObject, accepted.metaVersion),
    };
  };
  const head = (metadata: string, definitions: string): string =>
    `{"kind":"Table","apiVersion":"${apiVersion}","metadata":${metadata},"columnDefinitions":${definitions},"rows":[`;
  return {
    id: '',
    contentType: `application/json;as=Table;v=${accepted.metaVersion};g=meta.k8s.io`,
    raw: false,
    item: (entry) => Buffer.from(JSON.stringify(rowOf(entry)), 'utf8'),
    eventObject: (entry, first) => {
      const metadata = `{"resourceVersion":"${entry.revision}"}`;
      return Buffer.from(
        `${head(metadata, first ? columns : 'null')}${JSON.stringify(rowOf(entry))}]}`,
        'utf8',
      );
    },
    listHead: (metadata) => head(metaJson(metadata), columns),
    listTail: ']}\n',
    bookmark: (revision, initialEventsEnd) => {
      const metadata = bookmarkMeta(revision, initialEventsEnd);
      const object = { kind: kind.kind, apiVersion: joinApiVersion(kind.group, kind.version), metadata };
      const row = { cells: kind.printer.columns.map(() => ''), object };
      return `${head(JSON.stringify({ resourceVersion: String(revision) }), 'null')}${JSON.stringify(row)}]}`;
    },
  };
}

function rowObject(object: UnknownObject, include: IncludeObject, metaVersion: string): unknown {
  if (include === 'None') return undefined;
  return include === 'Object' ? object : partialMetadata(object, metaVersion);
}

/** One object as a Table of one row. */
export function singleTable(options: EncoderOptions, object: UnknownObject): unknown {
  const { kind, accepted, includeObject, nowMs } = options;
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${accepted.metaVersion}`,
    metadata: { resourceVersion: object.metadata.resourceVersion ?? '' },
    columnDefinitions: kind.printer.columns,
    rows: [
      {
        cells: kind.printer.row(object, nowMs()),
        object: rowObject(object, includeObject, accepted.metaVersion),
      },
    ],
  };
}

const FRAME_HEADS: Readonly<Record<EventType, Buffer>> = {
  ADDED: Buffer.from('{"type":"ADDED","object":'),
  MODIFIED: Buffer.from('{"type":"MODIFIED","object":'),
  DELETED: Buffer.from('{"type":"DELETED","object":'),
};
const FRAME_TAIL = Buffer.from('}\n');

export function eventFrame(encoder: Encoder, type: EventType, entry: StoredObject, first: boolean): Buffer {
  if (encoder.raw) return rawFrames(type, [entry]);
  return Buffer.concat([FRAME_HEADS[type], encoder.eventObject(entry, first), FRAME_TAIL]);
}

/** Frames of stored bytes, one behind the other: one piece of memory, each byte copied once. */
export function rawFrames(type: EventType, entries: readonly StoredObject[]): Buffer {
  const head = FRAME_HEADS[type];
  let sizeBytes = entries.length * (head.length + FRAME_TAIL.length);
  for (const entry of entries) sizeBytes += entry.sizeBytes();
  const target = Buffer.allocUnsafe(sizeBytes);
  let at = 0;
  for (const entry of entries) {
    at += head.copy(target, at);
    at = entry.writeTo(target, at);
    at += FRAME_TAIL.copy(target, at);
  }
  return target.subarray(0, at);
}

export function bookmarkFrame(encoder: Encoder, revision: number, initialEventsEnd: boolean): Buffer {
  return Buffer.from(
    `{"type":"BOOKMARK","object":${encoder.bookmark(revision, initialEventsEnd)}}\n`,
    'utf8',
  );
}
