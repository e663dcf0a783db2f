import type { UnknownObject } from '../../kinds/meta.ts';
import { encodeStored, ParsedObjects, StoredObject } from '../cache/stored-object.ts';
import type { Reply } from '../http/reply.ts';
import { notFound } from '../status.ts';
import { encodeList } from './list.ts';
import { parseListOptions } from './list-options.ts';
import { encoderFor, encoderOptions, entryReply } from './replies.ts';
import { selectionFor } from './selection.ts';
import type { Call } from './write.ts';

/** A get or list of objects that were made for this request. */
export function computedReply({ core, kind, request, info }: Call, objects: readonly UnknownObject[]): Reply {
  const parsed = new ParsedObjects(1);
  const nowMs = (): number => core.clock.nowMs();
  const entries = objects
    .filter(({ metadata }) => !info.namespace || metadata.namespace === info.namespace)
    .map((object) => entryOf(parsed, object));
  if (info.verb === 'get') {
    const entry = entries.find(({ name }) => name === info.name);
    if (!entry) throw notFound(kind, info.name);
    return entryReply(200, encoderOptions(kind, request, nowMs), entry);
  }
  const { labelSelector, fieldSelector } = parseListOptions(request.query);
  const selection = selectionFor(kind, labelSelector, fieldSelector, '');
  const encoder = encoderFor(kind, request, nowMs);
  return {
    status: 200,
    headers: { 'content-type': encoder.contentType },
    ...encodeList(
      encoder.listHead({ resourceVersion: '' }),
      entries.filter((entry) => selection.matches(entry, () => ({}))),
      encoder,
    ),
  };
}

function entryOf(parsed: ParsedObjects, object: UnknownObject): StoredObject {
  const { name, namespace = '' } = object.metadata;
  return new StoredObject(parsed, { key: '', namespace, name, bytes: encodeStored(object), revision: 0 });
}
