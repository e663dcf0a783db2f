import { goType, parseJson } from '../../kinds/decode/json-text.ts';
import { readEnvelope, readProtobuf } from '../../kinds/decode/protobuf.ts';
import { StrictErrors } from '../../kinds/decode/strict-errors.ts';
import { readTyped } from '../../kinds/decode/typed.ts';
import { parseYaml } from '../../kinds/decode/yaml-text.ts';
import { isObject, textOf } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { type KindInfo, joinApiVersion } from '../../kinds/registry.ts';
import { RESOURCES } from '../../kinds/schema/resources.generated.ts';
import { prune } from '../extension/prune.ts';
import { badRequest, unsupportedMediaType } from '../status.ts';
import { parseMediaType } from './content.ts';

/** A body as plain data, before any type is known. */
export interface Document {
  readonly value: unknown;
  /** `duplicate field "a.b"`, for strict decoding. */
  readonly duplicates: readonly string[];
}

export interface DecodeOptions {
  readonly fieldValidation: 'Strict' | 'Warn' | 'Ignore';
  warn(text: string): void;
}

const MEDIA_TYPES = ['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'];
const PROTOBUF = 'application/vnd.kubernetes.protobuf';

/** Definitions of bodies that are no served kind of their own. */
const EXTRA_DEFINITIONS: Readonly<Record<string, string>> = {
  'v1/DeleteOptions': 'meta/v1.DeleteOptions',
  'meta.k8s.io/v1/DeleteOptions': 'meta/v1.DeleteOptions',
  'autoscaling/v1/Scale': 'autoscaling/v1.Scale',
  'v1/Binding': 'core/v1.Binding',
  'policy/v1/Eviction': 'policy/v1.Eviction',
  'authentication.k8s.io/v1/TokenRequest': 'authentication/v1.TokenRequest',
};

/** How a body that cannot be read is told: what is wrong, and in which language it was written. */
export type Unreadable = (why: string, language: 'json' | 'yaml' | 'protobuf') => string;

const unreadable: Unreadable = (why, language) =>
  language === 'json' ? `couldn't get version/kind; json parse error: ${why}` : why;

/** Reads JSON, YAML or the protobuf of a type that is not a served kind. Throws 400 or 415. */
export function decodeDocument(
  body: Uint8Array,
  contentType: string | undefined,
  tell: Unreadable = unreadable,
): Document {
  const type = parseMediaType(contentType || 'application/json').type;
  if (type === PROTOBUF) return { value: decodeProtobuf(body, undefined), duplicates: [] };
  const isYaml = type === 'application/yaml';
  if (!isYaml && type !== 'application/json' && type !== '*/*') throw unsupportedMediaType(MEDIA_TYPES);
  const text = decodeUtf8(body);
  const errors = new StrictErrors();
  const parsed = isYaml ? parseYaml(text, errors) : parseJson(text, errors);
  if (!parsed.ok) throw badRequest(tell(parsed.message, isYaml ? 'yaml' : 'json'));
  return { value: parsed.value, duplicates: errors.texts };
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

function decodeUtf8(body: Uint8Array): string {
  try {
    return UTF8.decode(body);
  } catch {
    throw badRequest('the body of the request is not valid UTF-8');
  }
}

function decodeProtobuf(
  body: Uint8Array,
  kind: KindInfo | undefined,
  tell: Unreadable = unreadable,
): unknown {
  const envelope = readEnvelope(body);
  if (!envelope.ok) throw badRequest(tell(envelope.message, 'protobuf'));
  const own =
    kind && envelope.kind === kind.kind && envelope.apiVersion === joinApiVersion(kind.group, kind.version);
  const definition = own
    ? kind.schema.definition
    : EXTRA_DEFINITIONS[`${envelope.apiVersion}/${envelope.kind}`];
  const { apiVersion, kind: name } = envelope;
  if (!definition) return { kind: name, apiVersion };
  const decoded = readProtobuf(envelope.raw, definition);
  if (!decoded.ok) throw badRequest(tell(decoded.message, 'protobuf'));
  return { ...decoded.object, kind: name, apiVersion };
}

/** Reads a body as an object of the kind: unknown fields are refused, told or dropped as the client asked. */
export function decodeObject(
  kind: KindInfo,
  body: Uint8Array | Document,
  contentType: string | undefined,
  options: DecodeOptions,
): UnknownObject {
  if (body instanceof Uint8Array && parseMediaType(contentType ?? '').type === PROTOBUF) {
    return checkedObject(kind, decodeProtobuf(body, kind, unrecognized(kind, body)));
  }
  const isBody = body instanceof Uint8Array;
  const document = isBody ? decodeDocument(body, contentType, unrecognized(kind, body)) : body;
  const errors = new StrictErrors();
  const given = isBody
    ? checkedBody(kind, document.value ?? {}, unrecognized(kind, body))
    : checkedObject(kind, document.value);
  const object =
    kind.openApiSchema === undefined ? typed(kind, given, errors) : prune(given, kind.schema, errors);
  reportStrict(kind, [...document.duplicates, ...errors.texts], options);
  return object;
}

/** Characters or bytes of a body that messages show. */
const SHOWN_BYTES = 30;

/** That a body is no object of the kind, with how it begins: as text when it may be JSON, else in hexadecimal. */
function unrecognized(kind: KindInfo, body: Uint8Array): Unreadable {
  return (why, language) => {
    const start = Buffer.from(body.subarray(0, SHOWN_BYTES));
    const text =
      start.toString(body[0] === 0x7b ? 'utf8' : 'hex') + (body.length > SHOWN_BYTES ? ' ...' : '');
    const what = `the object provided is unrecognized (must be of type ${kind.kind})`;
    return `${what}: ${unreadable(why, language)} (${text || '<empty>'})`;
  };
}

const TYPE_META =
  'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }';

/** A body that says its kind and version in texts, and those of the kind. */
function checkedBody(kind: KindInfo, value: unknown, tell: Unreadable): UnknownObject {
  const wrong = (what: unknown, into: string): Error =>
    badRequest(tell(`json: cannot unmarshal ${goType(what)} into Go ${into}`, 'json'));
  if (!isObject(value)) throw wrong(value, `value of type ${TYPE_META}`);
  for (const field of ['apiVersion', 'kind']) {
    const said = value[field] ?? '';
    if (typeof said !== 'string') throw wrong(said, `struct field .${field} of type string`);
  }
  const version = textOf(value['apiVersion'] ?? '');
  if (version.split('/').length > 2)
    throw badRequest(tell(`unexpected GroupVersion string: ${version}`, 'yaml'));
  return checkedObject(kind, value);
}

function typed(kind: KindInfo, given: UnknownObject, errors: StrictErrors): UnknownObject {
  const definition = kind.schema.definition;
  if (!definition) return structuredClone(given);
  const read = readTyped(given, definition, errors);
  if (!read.ok) throw cannotBeHandled(kind, read.message);
  const object = read.object as UnknownObject;
  object.kind = kind.kind;
  object.apiVersion = joinApiVersion(kind.group, kind.version);
  object.metadata ??= {} as UnknownObject['metadata'];
  return object;
}

function cannotBeHandled(kind: KindInfo, why: string): ReturnType<typeof badRequest> {
  return badRequest(
    `${kind.kind} in version ${JSON.stringify(kind.version)} cannot be handled as a ${kind.kind}: ${why}`,
  );
}

function reportStrict(kind: KindInfo, texts: readonly string[], options: DecodeOptions): void {
  if (texts.length === 0 || options.fieldValidation === 'Ignore') return;
  if (options.fieldValidation === 'Strict') {
    throw cannotBeHandled(kind, `strict decoding error: ${texts.join(', ')}`);
  }
  for (const text of texts) options.warn(text);
}

/** A body of some other kind: told as Go's scheme tells it. */
function anotherKind(kind: KindInfo, saidVersion: string, saidKind: string): ReturnType<typeof badRequest> {
  const version = saidVersion.split('/').at(-1) ?? '';
  const known = kindNamed(saidVersion, saidKind);
  const why = known
    ? `converting (${version}.${saidKind}) to (${kind.group.split('.')[0] || 'core'}.${kind.kind}): unknown conversion`
    : `no kind ${JSON.stringify(saidKind)} is registered for version ${JSON.stringify(saidVersion)} in scheme "pkg/runtime/scheme.go:111"`;
  return badRequest(
    `${saidKind} in version ${JSON.stringify(version)} cannot be handled as a ${kind.kind}: ${why}`,
  );
}

function kindNamed(apiVersion: string, kind: string): boolean {
  return RESOURCES.some((one) => one.kind === kind && joinApiVersion(one.group, one.version) === apiVersion);
}

function checkedObject(kind: KindInfo, value: unknown): UnknownObject {
  if (!isObject(value)) {
    throw badRequest(
      unreadable(`json: cannot unmarshal ${goType(value)} into Go value of type ${TYPE_META}`, 'json'),
    );
  }
  const apiVersion = joinApiVersion(kind.group, kind.version);
  const given = { ...value };
  given['kind'] ??= kind.kind;
  given['apiVersion'] ??= apiVersion;
  if (given['kind'] !== kind.kind || given['apiVersion'] !== apiVersion) {
    throw anotherKind(kind, textOf(given['apiVersion']), textOf(given['kind']));
  }
  if (given['metadata'] === undefined || given['metadata'] === null) given['metadata'] = {};
  const { metadata } = given;
  if (!isObject(metadata)) {
    const into = `Go struct field ${kind.kind}.metadata of type v1.ObjectMeta`;
    throw cannotBeHandled(kind, `json: cannot unmarshal ${goType(metadata)} into ${into}`);
  }
  return given as UnknownObject;
}
