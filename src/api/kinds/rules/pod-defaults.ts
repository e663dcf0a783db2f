import {
  ensureObject,
  isObject,
  type JsonObject,
  objectAt,
  objectsAt,
  setDefault,
  stringAt,
} from '../json-value.ts';

const FILE_MODE = 0o644;
const TOKEN_LIFETIME_SECONDS = 3600;

/** Defaults of a pod spec, in a Pod or in a template. Mutates. */
export function defaultPodSpec(spec: JsonObject): void {
  setDefault(spec, 'restartPolicy', 'Always');
  setDefault(spec, 'dnsPolicy', 'ClusterFirst');
  setDefault(spec, 'schedulerName', 'default-scheduler');
  setDefault(spec, 'terminationGracePeriodSeconds', 30);
  setDefault(spec, 'securityContext', {});
  // The old name of the field mirrors the new one in both directions.
  const account = stringAt(spec, 'serviceAccountName') || stringAt(spec, 'serviceAccount');
  if (account !== '') spec['serviceAccountName'] = spec['serviceAccount'] = account;
  for (const list of ['initContainers', 'containers', 'ephemeralContainers']) {
    for (const container of objectsAt(spec, list)) defaultContainer(container);
  }
  for (const volume of objectsAt(spec, 'volumes')) defaultVolume(volume);
}

/** What only a Pod gets, not a template: service links, requests from limits, host ports. */
export function defaultPod(spec: JsonObject): void {
  setDefault(spec, 'enableServiceLinks', true);
  defaultRequests(spec);
  for (const list of ['initContainers', 'containers']) {
    for (const container of objectsAt(spec, list)) {
      defaultRequests(container);
      if (spec['hostNetwork'] === true) defaultHostPorts(container);
    }
  }
}

/** Of a container, or of the pod as a whole: who only limits asks for as much. */
function defaultRequests(owner: JsonObject): void {
  const resources = owner['resources'];
  if (!isObject(resources) || !isObject(resources['limits'])) return;
  const requests = ensureObject(resources, 'requests');
  if (!requests) return;
  for (const [name, value] of Object.entries(resources['limits'])) requests[name] ??= value;
  if (Object.keys(requests).length === 0) delete resources['requests'];
}

function defaultHostPorts(container: JsonObject): void {
  for (const port of objectsAt(container, 'ports')) {
    if (!port['hostPort'] && typeof port['containerPort'] === 'number')
      port['hostPort'] = port['containerPort'];
  }
}

function defaultContainer(container: JsonObject): void {
  setDefault(container, 'terminationMessagePath', '/dev/termination-log');
  setDefault(container, 'terminationMessagePolicy', 'File');
  setDefault(container, 'imagePullPolicy', pullPolicy(stringAt(container, 'image')));
  for (const port of objectsAt(container, 'ports')) setDefault(port, 'protocol', 'TCP');
  for (const env of objectsAt(container, 'env')) defaultFieldSource(objectAt(env, 'valueFrom'));
  for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe']) defaultProbe(container[name]);
  const lifecycle = objectAt(container, 'lifecycle');
  for (const name of ['postStart', 'preStop']) defaultHttpGet(objectAt(lifecycle, name)['httpGet']);
}

/** Always for `:latest` or no tag, IfNotPresent for any other tag or a digest. */
function pullPolicy(image: string): string {
  if (image.includes('@')) return 'IfNotPresent';
  const last = image.slice(image.lastIndexOf('/') + 1);
  const tag = last.includes(':') ? last.slice(last.indexOf(':') + 1) : 'latest';
  return tag === 'latest' ? 'Always' : 'IfNotPresent';
}

function defaultProbe(probe: unknown): void {
  if (!isObject(probe)) return;
  const numbers = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 };
  for (const [name, value] of Object.entries(numbers)) {
    if (probe[name] === undefined || probe[name] === 0) probe[name] = value;
  }
  defaultHttpGet(probe['httpGet']);
  if (isObject(probe['grpc'])) probe['grpc']['service'] ??= '';
}

function defaultHttpGet(action: unknown): void {
  if (!isObject(action)) return;
  setDefault(action, 'path', '/');
  setDefault(action, 'scheme', 'HTTP');
}

function defaultFieldSource(source: JsonObject): void {
  if (isObject(source['fieldRef'])) setDefault(source['fieldRef'], 'apiVersion', 'v1');
  if (isObject(source['resourceFieldRef'])) setDefault(source['resourceFieldRef'], 'divisor', '0');
}

function defaultVolume(volume: JsonObject): void {
  const sources = Object.keys(volume).filter((name) => name !== 'name' && isObject(volume[name]));
  if (sources.length === 0) volume['emptyDir'] = {};
  for (const name of ['secret', 'configMap', 'downwardAPI', 'projected']) {
    const source = volume[name];
    if (!isObject(source)) continue;
    source['defaultMode'] ??= FILE_MODE;
    for (const item of objectsAt(source, 'items')) defaultFieldSource(item);
    for (const part of objectsAt(source, 'sources')) defaultProjection(part);
  }
  if (isObject(volume['hostPath'])) volume['hostPath']['type'] ??= '';
  const iscsi = volume['iscsi'];
  if (isObject(iscsi)) setDefault(iscsi, 'iscsiInterface', 'default');
  const image = volume['image'];
  if (isObject(image)) setDefault(image, 'pullPolicy', pullPolicy(stringAt(image, 'reference')));
  const template = objectAt(volume['ephemeral'], 'volumeClaimTemplate');
  if (isObject(template['spec'])) setDefault(template['spec'], 'volumeMode', 'Filesystem');
}

function defaultProjection(part: JsonObject): void {
  const token = part['serviceAccountToken'];
  if (isObject(token)) token['expirationSeconds'] ??= TOKEN_LIFETIME_SECONDS;
  for (const item of objectsAt(part['downwardAPI'], 'items')) defaultFieldSource(item);
}

/** Defaults of the pod template of a workload. */
export function defaultTemplate(owner: unknown): void {
  const template = objectAt(owner, 'template');
  const spec = template['spec'];
  if (isObject(spec)) defaultPodSpec(spec);
}
