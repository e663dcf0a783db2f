import {
  arrayAt,
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
  stringAt,
} from '../../../kinds/json-value.ts';
import type { UnknownObject } from '../../../kinds/meta.ts';
import type { KindInfo } from '../../../kinds/registry.ts';
import { labelQueryOf, matchesLabels } from '../../../kinds/selector.ts';
import type { Core } from '../../verbs/context.ts';
import { fromStored, toStored } from '../../verbs/versions.ts';
import type { AdmissionRequest } from '../admission.ts';
import { objectOf } from '../objects.ts';

const OWN_GROUP = 'admissionregistration.k8s.io';

/** What may stop everything can always be taken away again: its own objects are never asked about. */
export function isExempt({ kind }: AdmissionRequest): boolean {
  return kind.group === OWN_GROUP || kind.virtual;
}

export interface MatchSource {
  readonly rules: readonly JsonObject[];
  readonly excluded: readonly JsonObject[];
  readonly matchPolicy: string;
  readonly namespaceSelector: unknown;
  readonly objectSelector: unknown;
}

export function matchSourceOfWebhook(webhook: JsonObject): MatchSource {
  return {
    rules: objectsAt(webhook, 'rules'),
    excluded: [],
    matchPolicy: stringAt(webhook, 'matchPolicy'),
    namespaceSelector: webhook['namespaceSelector'],
    objectSelector: webhook['objectSelector'],
  };
}

export function matchSourceOfPolicy(match: unknown): MatchSource {
  const source = isObject(match) ? match : {};
  return {
    rules: objectsAt(source, 'resourceRules'),
    excluded: objectsAt(source, 'excludeResourceRules'),
    matchPolicy: stringAt(source, 'matchPolicy'),
    namespaceSelector: source['namespaceSelector'],
    objectSelector: source['objectSelector'],
  };
}

/** The kind (in the version asked for) the request is about for this webhook or policy; undefined = not at all. */
export function matchedKind(
  core: Core,
  source: MatchSource,
  request: AdmissionRequest,
): KindInfo | undefined {
  if (!namespaceFits(core, source.namespaceSelector, request)) return undefined;
  if (!objectFits(source.objectSelector, request)) return undefined;
  if (source.excluded.some((rule) => ruleFits(rule, request, request.kind))) return undefined;
  if (source.rules.some((rule) => ruleFits(rule, request, request.kind))) return request.kind;
  if (source.matchPolicy === 'Exact') return undefined;
  const { collection } = request.kind.storage;
  const others = core.registry
    .all()
    .filter((one) => one.storage.collection === collection && one !== request.kind);
  return others.find((kind) => source.rules.some((rule) => ruleFits(rule, request, kind)));
}

/** The same object as another version of its kind. */
export function inVersion(
  object: UnknownObject | undefined,
  from: KindInfo,
  to: KindInfo,
): UnknownObject | undefined {
  return object && from !== to ? fromStored(to, toStored(from, object)) : object;
}

function ruleFits(rule: JsonObject, request: AdmissionRequest, kind: KindInfo): boolean {
  const has = (field: string, value: string): boolean => {
    const values = arrayAt(rule, field);
    return values.includes('*') || values.includes(value);
  };
  const scope = stringAt(rule, 'scope');
  if (scope === 'Cluster' && request.namespace !== '') return false;
  if (scope === 'Namespaced' && request.namespace === '') return false;
  const names = arrayAt(rule, 'resourceNames');
  if (names.length > 0 && !names.includes(request.name)) return false;
  return (
    has('operations', request.operation) &&
    has('apiGroups', kind.group) &&
    has('apiVersions', kind.version) &&
    arrayAt(rule, 'resources').some((one) => resourceFits(String(one), kind.plural, request.subresource))
  );
}

/** `pods`, `pods/status`, `pods/*`, `* /scale` without the blank, `*`, `* / *`. */
function resourceFits(pattern: string, plural: string, subresource: string): boolean {
  const [resource = '', part = ''] = pattern.split('/');
  if (resource !== '*' && resource !== plural) return false;
  return part === subresource || (part === '*' && pattern.includes('/'));
}

function selects(selector: unknown, labels: Readonly<Record<string, string>> | undefined): boolean {
  if (!isObject(selector) || Object.keys(selector).length === 0) return true;
  const query = labelQueryOf(selector);
  return query !== undefined && matchesLabels(query, labels);
}

/** Cluster-wide objects always fit; a Namespace is judged by its own labels. */
function namespaceFits(core: Core, selector: unknown, request: AdmissionRequest): boolean {
  const { kind, object, old, namespace } = request;
  if (kind.kind === 'Namespace' && kind.group === '')
    return selects(selector, (object ?? old)?.metadata.labels);
  if (!kind.namespaced) return true;
  return selects(selector, namespaceObject(core, namespace)?.metadata.labels);
}

export function namespaceObject(core: Core, namespace: string): UnknownObject | undefined {
  return namespace ? objectOf(core, '', 'namespaces', '', namespace) : undefined;
}

function objectFits(selector: unknown, { object, old }: AdmissionRequest): boolean {
  if (!isObject(selector) || Object.keys(selector).length === 0) return true;
  return [object, old].some((one) => one !== undefined && selects(selector, labelsOf(one)));
}

function labelsOf(object: UnknownObject): Readonly<Record<string, string>> {
  return objectAt(object.metadata, 'labels') as Readonly<Record<string, string>>;
}
