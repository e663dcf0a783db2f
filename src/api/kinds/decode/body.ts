import { isObject, type JsonObject, stringAt } from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import { joinApiVersion, type KindInfo, splitApiVersion } from '../registry.ts';
import { parseJson } from './json-text.ts';
import { pruneBySchema } from './prune.ts';
import { readEnvelope, readProtobuf } from './protobuf.ts';
import { StrictErrors } from './strict-errors.ts';
import { readTyped, type Typed } from './typed.ts';
import { parseYaml } from './yaml-text.ts';

/** Media types a body may have; anything else is a 415. */
export const BODY_MEDIA_TYPES = [
  'application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
] as const;

export interface DecodedBody {
  readonly ok: true;
  readonly object: UnknownObject;
  /**
   * Strict-decoding findings (`unknown field "spec.x"`). With fieldValidation=Strict they refuse the body
   * (see strictMessage), with Warn each becomes a Warning header, with Ignore they are dropped.
   */
  readonly strict: readonly string[];
}

/** Why a body was refused: a 415 or a 400 with this message. */
export interface RefusedBody {
  readonly ok: false;
  readonly code: 400 | 415;
  readonly message: string;
}

/** What a body is read as: a served kind, or a bare type (`meta/v1.DeleteOptions`, `autoscaling/v1.Scale`). */
export interface BodyTarget {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  /** Key of the generated type; undefined for a custom resource. */
  readonly definition: string | undefined;
  /** Needed for custom resources only. */
  readonly schema?: KindInfo['schema'];
}

export function targetOf(kind: KindInfo): BodyTarget {
  const { group, version, schema } = kind;
  return { group, version, kind: kind.kind, definition: schema.definition, schema };
}

/** Decodes a request body. Never throws on wrong bytes; `mediaType` is the bare type, without parameters. */
export function decodeBody(
  bytes: Uint8Array,
  mediaType: string,
  target: BodyTarget,
): DecodedBody | RefusedBody {
  if (mediaType === 'application/vnd.kubernetes.protobuf') return decodeProtobuf(bytes, target);
  if (mediaType !== 'application/json' && mediaType !== 'application/yaml') {
    const accepted = BODY_MEDIA_TYPES.join(', ');
    const message = `the body of the request was in an unknown format - accepted media types include: ${accepted}`;
    return { ok: false, code: 415, message };
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return refused(`${unrecognized(target)}: couldn't get version/kind; json parse error: invalid UTF-8`);
  }
  const errors = new StrictErrors();
  const parsed = mediaType === 'application/json' ? parseJson(text, errors) : parseYaml(text, errors);
  if (!parsed.ok) {
    return refused(`${unrecognized(target)}: couldn't get version/kind; json parse error: ${parsed.message}`);
  }
  return readObject(parsed.value, target, errors);
}

/**
 * Reads parsed JSON data as an object of the target: the second half of decodeBody, and what the result of a
 * patch goes through before it is stored.
 */
export function readObject(
  value: unknown,
  target: BodyTarget,
  errors = new StrictErrors(),
): DecodedBody | RefusedBody {
  if (!isObject(value))
    return refused(`${unrecognized(target)}: couldn't get version/kind; json: cannot unmarshal`);
  const problem = checkType(stringAt(value, 'apiVersion'), stringAt(value, 'kind'), target);
  if (problem) return problem;
  const read = target.definition
    ? readTyped(value, target.definition, errors)
    : readCustom(value, target, errors);
  if (!read.ok) return refused(handled(target, read.message));
  return finish(read.object, target, errors);
}

function readCustom(value: JsonObject, target: BodyTarget, errors: StrictErrors): Typed {
  if (!target.schema) return { ok: false, message: 'no schema' };
  const { metadata, ...rest } = value;
  const meta = readTyped(isObject(metadata) ? { metadata } : {}, 'core/v1.ConfigMap', errors);
  if (!meta.ok) return meta;
  const pruned = pruneBySchema(rest, target.schema, errors) as JsonObject;
  return { ok: true, object: { ...pruned, metadata: meta.object['metadata'] ?? {} } };
}

function decodeProtobuf(bytes: Uint8Array, target: BodyTarget): DecodedBody | RefusedBody {
  const envelope = readEnvelope(bytes);
  if (!envelope.ok) return refused(envelope.message);
  if (!target.definition) {
    return { ok: false, code: 415, message: 'custom resources are accepted as JSON and YAML only' };
  }
  const problem = checkType(envelope.apiVersion, envelope.kind, target);
  if (problem) return problem;
  const read = readProtobuf(envelope.raw, target.definition);
  if (!read.ok) return refused(handled(target, read.message));
  return finish(read.object, target, new StrictErrors());
}

function finish(object: JsonObject, target: BodyTarget, errors: StrictErrors): DecodedBody {
  const { apiVersion: _, kind: __, metadata, ...rest } = object;
  const typed = {
    apiVersion: joinApiVersion(target.group, target.version),
    kind: target.kind,
    metadata: isObject(metadata) ? metadata : {},
    ...rest,
  } as unknown as UnknownObject;
  return { ok: true, object: typed, strict: errors.texts };
}

/** A body may leave its type out; what it says must fit the URL. */
function checkType(apiVersion: string, kind: string, target: BodyTarget): RefusedBody | undefined {
  const wanted = joinApiVersion(target.group, target.version);
  if (kind !== '' && kind !== target.kind) {
    const { group } = splitApiVersion(apiVersion);
    const [from, to] = [`${group || 'v1'}.${kind}`, `${target.group || 'core'}.${target.kind}`];
    const version = JSON.stringify(splitApiVersion(apiVersion).version);
    const detail = `converting (${from}) to (${to}): unknown conversion`;
    return refused(`${kind} in version ${version} cannot be handled as a ${target.kind}: ${detail}`);
  }
  if (apiVersion === '' || apiVersion === wanted) return undefined;
  return refused(
    `the API version in the data (${apiVersion}) does not match the expected API version (${wanted})`,
  );
}

/** The message of a 400 for fieldValidation=Strict. */
export function strictMessage(target: BodyTarget, strict: readonly string[]): string {
  return handled(target, `strict decoding error: ${strict.join(', ')}`);
}

function handled(target: BodyTarget, text: string): string {
  return `${target.kind} in version ${JSON.stringify(target.version)} cannot be handled as a ${target.kind}: ${text}`;
}

function unrecognized(target: BodyTarget): string {
  return `the object provided is unrecognized (must be of type ${target.kind})`;
}

function refused(message: string): RefusedBody {
  return { ok: false, code: 400, message };
}
