import { stringify } from 'yaml';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { KindInfo } from '../../kinds/registry.ts';
import type { StoredObject } from '../cache/stored-object.ts';
import { type Accepted, negotiate } from '../http/content.ts';
import { bytesReply, jsonReply, type Reply } from '../http/reply.ts';
import type { ApiRequest } from '../http/request.ts';
import { badRequest, notAcceptable } from '../status.ts';
import {
  createEncoder,
  type Encoder,
  type EncoderOptions,
  type IncludeObject,
  partialMetadata,
  singleTable,
} from './encoder.ts';
import { served } from './versions.ts';

const MEDIA_TYPES = ['application/json', 'application/yaml'];

export function acceptedForm(request: ApiRequest): Accepted {
  const accepted = negotiate(request.headers['accept']);
  if (!accepted) throw notAcceptable(MEDIA_TYPES);
  return accepted;
}

export function encoderOptions(kind: KindInfo, request: ApiRequest, nowMs: () => number): EncoderOptions {
  return { kind, accepted: acceptedForm(request), includeObject: includeObject(request.query), nowMs };
}

export function encoderFor(kind: KindInfo, request: ApiRequest, nowMs: () => number): Encoder {
  return createEncoder(encoderOptions(kind, request, nowMs));
}

function includeObject(query: URLSearchParams): IncludeObject {
  const text = query.get('includeObject') ?? '';
  if (text === '' || text === 'Metadata') return 'Metadata';
  if (text === 'None' || text === 'Object') return text;
  throw badRequest(`unrecognized includeObject value: ${JSON.stringify(text)}`);
}

/** One object in the form the client asked for; plain JSON goes out as the stored bytes. */
export function entryReply(status: number, options: EncoderOptions, entry: StoredObject): Reply {
  if (options.accepted.form === 'json') return bytesReply(status, createEncoder(options).item(entry));
  return objectReply(status, options, served(options.kind, entry));
}

/** The same for an object that is not in the cache: computed replies and subresources. */
export function objectReply(status: number, options: EncoderOptions, object: UnknownObject): Reply {
  const { form, metaVersion } = options.accepted;
  if (form === 'table') return jsonReply(status, singleTable(options, object));
  if (form === 'partial-metadata') return jsonReply(status, partialMetadata(object, metaVersion));
  if (form === 'yaml') return yamlReply(status, object);
  return jsonReply(status, object);
}

function yamlReply(status: number, value: unknown): Reply {
  const body = Buffer.from(stringify(value, { version: '1.1' }), 'utf8');
  return { status, headers: { 'content-type': 'application/yaml' }, body };
}
