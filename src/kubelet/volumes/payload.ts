import { Fault } from '../../base/fault.ts';
import type { ConfigMap, Secret } from '../../api/kinds/config.ts';
import { fieldValue, type PodFacts, resourceValue } from '../environment/field-ref.ts';
import type { Payload, PayloadFile } from './atomic-folder.ts';

interface KeyToPath {
  readonly key: string;
  readonly path: string;
  readonly mode?: number;
}

interface ObjectProjection {
  readonly name?: string;
  readonly items?: readonly KeyToPath[];
  readonly optional?: boolean;
}

interface DownwardFile {
  readonly path: string;
  readonly mode?: number;
  readonly fieldRef?: { readonly fieldPath: string };
  readonly resourceFieldRef?: {
    readonly containerName?: string;
    readonly resource: string;
    readonly divisor?: string;
  };
}

interface TokenProjection {
  readonly path: string;
  readonly audience?: string;
  readonly expirationSeconds?: number;
}

/** One source of a projected volume; configMap, secret and downwardAPI volumes are the same with one source. */
export interface Projection {
  readonly configMap?: ObjectProjection;
  readonly secret?: ObjectProjection;
  readonly downwardAPI?: { readonly items?: readonly DownwardFile[] };
  readonly serviceAccountToken?: TokenProjection;
}

/** Objects the projections refer to, looked up beforehand so that this stays pure. */
export interface ProjectionInput {
  readonly facts: PodFacts;
  readonly defaultMode: number;
  configMap(name: string): ConfigMap | undefined;
  secret(name: string): Secret | undefined;
  token(request: TokenProjection): string | undefined;
}

/** All files of the projections; later ones win. Throws Fault VOLUME with kubelet's words for what is missing. */
export function projectedPayload(projections: readonly Projection[], input: ProjectionInput): Payload {
  const out = new Map<string, PayloadFile>();
  for (const projection of projections) {
    for (const [path, file] of filesOf(projection, input)) out.set(safePath(path), file);
  }
  return out;
}

function filesOf(projection: Projection, input: ProjectionInput): Iterable<[string, PayloadFile]> {
  if (projection.configMap) return configMapFiles(projection.configMap, input);
  if (projection.secret) return secretFiles(projection.secret, input);
  if (projection.downwardAPI) {
    return (projection.downwardAPI.items ?? []).map((item) => [item.path, downwardFile(item, input)]);
  }
  if (projection.serviceAccountToken) {
    const token = input.token(projection.serviceAccountToken);
    if (token === undefined) return [];
    return [[projection.serviceAccountToken.path, { bytes: Buffer.from(token), mode: 0o600 }]];
  }
  return [];
}

function configMapFiles(
  reference: ObjectProjection,
  input: ProjectionInput,
): Iterable<[string, PayloadFile]> {
  const found = input.configMap(reference.name ?? '');
  if (!found && !reference.optional) throw missing(`configmap "${reference.name ?? ''}" not found`);
  const data = new Map<string, Buffer>();
  for (const [key, text] of Object.entries(found?.data ?? {})) data.set(key, Buffer.from(text));
  for (const [key, text] of Object.entries(found?.binaryData ?? {}))
    data.set(key, Buffer.from(text, 'base64'));
  return pick(data, reference, input.defaultMode);
}

function secretFiles(reference: ObjectProjection, input: ProjectionInput): Iterable<[string, PayloadFile]> {
  const found = input.secret(reference.name ?? '');
  if (!found && !reference.optional) throw missing(`secret "${reference.name ?? ''}" not found`);
  const pairs = Object.entries(found?.data ?? {});
  const data = new Map(pairs.map(([key, text]) => [key, Buffer.from(text, 'base64')]));
  return pick(data, reference, input.defaultMode);
}

function pick(
  data: ReadonlyMap<string, Buffer>,
  reference: ObjectProjection,
  defaultMode: number,
): [string, PayloadFile][] {
  if (!reference.items) return Array.from(data, ([key, bytes]) => [key, { bytes, mode: defaultMode }]);
  return reference.items.flatMap(({ key, path, mode }): [string, PayloadFile][] => {
    const bytes = data.get(key);
    if (bytes) return [[path, { bytes, mode: mode ?? defaultMode }]];
    if (reference.optional) return [];
    throw missing(`references non-existent config key: ${key}`);
  });
}

function downwardFile(item: DownwardFile, input: ProjectionInput): PayloadFile {
  return { bytes: Buffer.from(downwardText(item, input.facts)), mode: item.mode ?? input.defaultMode };
}

function downwardText(item: DownwardFile, facts: PodFacts): string {
  if (item.fieldRef) {
    const value = fieldValue(item.fieldRef.fieldPath, facts);
    if (value === undefined) throw missing(`unsupported fieldPath: ${item.fieldRef.fieldPath}`);
    return value;
  }
  const reference = item.resourceFieldRef;
  const container = facts.pod.spec.containers.find((one) => one.name === reference?.containerName);
  const value = reference && container && resourceValue(reference, container, facts);
  if (value === undefined) throw missing(`unsupported container resource: ${reference?.resource ?? ''}`);
  return value;
}

/** Static pods come without validation: a path must not leave the volume. */
function safePath(path: string): string {
  const names = path.split('/');
  if (path.startsWith('/') || names.some((name) => name === '' || name === '.' || name === '..')) {
    throw missing(`invalid path in volume: ${JSON.stringify(path)}`);
  }
  return path;
}

function missing(message: string): Fault {
  return new Fault('VOLUME', message);
}
