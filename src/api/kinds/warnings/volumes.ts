import { isObject, type JsonObject, objectAt, objectsAt, stringAt } from '../json-value.ts';
import { claimWarnings } from './quantities.ts';

/** Volume plugins that are gone, or will be. */
const PLUGINS: readonly (readonly [field: string, text: string])[] = [
  ['photonPersistentDisk', 'deprecated in v1.11, non-functional in v1.16+'],
  ['gitRepo', 'deprecated in v1.11, and disabled by default in v1.33+'],
  ['scaleIO', 'deprecated in v1.16, non-functional in v1.22+'],
  ['flocker', 'deprecated in v1.22, non-functional in v1.25+'],
  ['storageos', 'deprecated in v1.22, non-functional in v1.25+'],
  ['quobyte', 'deprecated in v1.22, non-functional in v1.25+'],
  ['glusterfs', 'deprecated in v1.25, non-functional in v1.26+'],
  ['ephemeral', ''],
  ['cephfs', 'deprecated in v1.28, non-functional in v1.31+'],
  ['rbd', 'deprecated in v1.28, non-functional in v1.31+'],
];

/** Upstream names this field otherwise in paths. */
const SHOWN: Readonly<Record<string, string>> = { storageos: 'storageOS' };

/** Of plugins of a volume of a pod, or of a PersistentVolume. */
export function pluginWarnings(volume: JsonObject, path: string): string[] {
  return PLUGINS.flatMap(([field, text]) => {
    const source = volume[field];
    if (!isObject(source)) return [];
    if (text !== '') return [`${path}.${SHOWN[field] ?? field}: ${text}`];
    const template = objectAt(source, 'volumeClaimTemplate');
    return claimWarnings(template['spec'], `${path}.${field}.volumeClaimTemplate.spec`);
  });
}

/** A file in a volume and where it comes from; '' = from the volume's one source. */
interface VolumeFile {
  readonly path: string;
  readonly source: string;
}

/** Files of one volume that lie at the same path, or where another has a folder. */
export function overlapWarnings(volumes: readonly JsonObject[]): string[] {
  return volumes.flatMap((volume) => {
    const name = JSON.stringify(stringAt(volume, 'name'));
    const told = (what: string, files: readonly VolumeFile[]): string[] =>
      overlaps(files).map((text) => `volume ${name} (${what}): overlapping paths: ${text}`);
    const [configMap, secret] = [objectAt(volume, 'configMap'), objectAt(volume, 'secret')];
    const sources = objectsAt(volume['projected'], 'sources');
    return [
      ...told(`ConfigMap ${quoted(configMap, 'name')}`, itemsOf(configMap, '')),
      ...told(`Secret ${quoted(secret, 'secretName')}`, itemsOf(secret, '')),
      ...told('DownwardAPI', itemsOf(objectAt(volume, 'downwardAPI'), '')),
      ...sources
        .filter((source) => Object.keys(source).length === 0)
        .map(() => `volume ${name} (Projected) has no sources provided`),
      ...told('Projected', sources.flatMap(projectedFiles)),
    ];
  });
}

function projectedFiles(source: JsonObject): VolumeFile[] {
  const [configMap, secret] = [objectAt(source, 'configMap'), objectAt(source, 'secret')];
  const token = objectAt(source, 'serviceAccountToken');
  return [
    ...itemsOf(configMap, `ConfigMap ${quoted(configMap, 'name')}`),
    ...itemsOf(secret, `Secret ${quoted(secret, 'name')}`),
    ...itemsOf(objectAt(source, 'downwardAPI'), 'DownwardAPI'),
    ...(isObject(source['serviceAccountToken'])
      ? [{ path: stringAt(token, 'path'), source: 'ServiceAccountToken' }]
      : []),
  ];
}

function itemsOf(source: JsonObject, text: string): VolumeFile[] {
  return objectsAt(source, 'items').map((item) => ({ path: stringAt(item, 'path'), source: text }));
}

function overlaps(files: readonly VolumeFile[]): string[] {
  const trimmed = files.map(({ path, source }) => ({ path: path.replace(/\/+$/, ''), source }));
  return trimmed.flatMap((file, index) =>
    trimmed
      .slice(0, index)
      .filter((earlier) => file.path !== '' && earlier.path !== '' && isInside(file.path, earlier.path))
      .map((earlier) => `${shown(file)} with ${shown(earlier)}`),
  );
}

function isInside(one: string, other: string): boolean {
  return `${one}/`.startsWith(`${other}/`) || `${other}/`.startsWith(`${one}/`);
}

function shown({ path, source }: VolumeFile): string {
  return source === '' ? JSON.stringify(path) : `${JSON.stringify(path)} (${source})`;
}

function quoted(source: JsonObject, field: string): string {
  return JSON.stringify(stringAt(source, field));
}
