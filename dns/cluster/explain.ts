import { fallsThrough } from '../fallthrough.ts';
import type { Endpoint } from '../../endpoints/endpoint.ts';
import type { ServiceEntry } from '../../endpoints/service-port.ts';
import { foldName, isWithin, labelsBelow } from '../wire/name.ts';
import type { RecordType } from '../wire/numbers.ts';
import { formatRecord } from '../wire/zone-text.ts';
import { nodeAt, type ClusterAnswer, type ClusterContext, positive } from './answer.ts';
import { followAlias } from './alias.ts';
import { endpointName } from './endpoint-name.ts';
import { answerAt, zoneOf } from './look-up.ts';
import { isReverseZone, type ClusterOptions } from './options.ts';
import { reverseAddress } from './reverse-name.ts';
import type { ClusterView } from './view.ts';

/** One step from the question to the answer, in words. */
export interface NameReason {
  readonly topic: 'zone' | 'namespace' | 'service' | 'endpoint' | 'pod' | 'rule' | 'answer' | 'record';
  readonly text: string;
}

export interface NameExplanation {
  readonly rcode: string;
  readonly reasons: readonly NameReason[];
  /** Of the A or AAAA records of the answer, those of an alias's target within the cluster included. */
  readonly addresses: readonly string[];
}

/** Names of neighbours shown when a service or namespace does not exist. */
const NEIGHBOURS = 5;

type Say = (topic: NameReason['topic'], text: string) => void;

/**
 * Says, in order, what decides the answer to a name of the cluster: zone, namespace, service, each endpoint in or out,
 * the rule, the records. `serverAddresses` stand in NS answers.
 */
export function explainName(
  view: ClusterView,
  options: ClusterOptions,
  name: string,
  type: RecordType,
  serverAddresses: readonly string[] = [],
): NameExplanation {
  const reasons: NameReason[] = [];
  const say: Say = (topic, text) => void reasons.push({ topic, text });
  const zone = zoneOf(name, options.zones);
  if (zone === undefined) {
    say('zone', `${name} lies in none of ${options.zones.join(' ')}: the plugins behind kubernetes answer`);
    return { rcode: 'not answered here', reasons, addresses: [] };
  }
  say('zone', `${zone} is the longest zone that holds the name`);
  if (!view.synced) say('zone', 'the first lists are not complete: unknown names are SERVFAIL, not NXDOMAIN');
  if (isReverseZone(zone)) explainReverse(view, name, say);
  else explainForward(view, options, labelsBelow(foldName(name), zone), say);
  const answer = answerTo(view, options, zone, name, type, serverAddresses, say);
  const rcode = answer.rcode === 'NXDOMAIN' && !view.synced ? 'SERVFAIL' : answer.rcode;
  say('answer', verdict(rcode, answer));
  if (answer.rcode === 'NXDOMAIN' && fallsThrough(options.fallthrough, name)) {
    say('rule', 'fallthrough: the plugins behind kubernetes are asked instead');
  }
  for (const record of answer.answers) say('record', formatRecord(record));
  const addresses = answer.answers.flatMap((one) =>
    one.type === 'A' || one.type === 'AAAA' ? [one.data.address] : [],
  );
  return { rcode, reasons, addresses };
}

function answerTo(
  view: ClusterView,
  options: ClusterOptions,
  zone: string,
  name: string,
  type: RecordType,
  serverAddresses: readonly string[],
  say: Say,
): ClusterAnswer {
  const resolve = (): never => {
    throw new Error('names outside are not followed here');
  };
  const context: ClusterContext = { view, options, serverAddresses: () => serverAddresses, resolve };
  const node = nodeAt(context, zone, name);
  const question = { name, type, class: 'IN' } as const;
  if (node.kind === 'alias') {
    const where = isWithin(node.target, zone) ? 'from cluster data' : 'by the rest of the Corefile';
    say('rule', `ExternalName: a CNAME to ${node.target}, which is then looked up ${where}`);
    const end = followAlias(context, zone, question, node.target);
    return 'answer' in end ? end.answer : positive(end.chain);
  }
  return answerAt(context, node, zone, question);
}

function verdict(rcode: string, { answers }: ClusterAnswer): string {
  if (rcode !== 'NOERROR') return rcode;
  if (answers.length === 0) return 'NODATA: the name exists, not with this type';
  return answers.length === 1 ? 'one record' : `${answers.length} records`;
}

function explainForward(
  view: ClusterView,
  options: ClusterOptions,
  labels: readonly string[],
  say: Say,
): void {
  const root = labels.at(-1);
  if (root === undefined) return say('rule', 'the apex: SOA and NS');
  if (root !== 'svc' && root !== 'pod') {
    const known = root === 'dns-version' || root === 'dns';
    return say(
      'rule',
      known ? `${root} is a name of its own` : `nothing is below the zone but svc and pod, not ${root}`,
    );
  }
  const namespace = labels.at(-2);
  if (namespace === undefined) return say('rule', `${root} exists and holds the namespaces`);
  if (!explainNamespace(view, options, namespace, say)) return;
  const name = labels.at(-3);
  if (name === undefined) return say('rule', 'a namespace has no records of its own');
  if (root === 'pod') return explainPod(view, options, name, namespace, say);
  const service = view.service(namespace, name);
  if (service) explainService(service, options, labels.slice(0, -3), say);
  else say('service', `there is no service ${name} in ${namespace}${neighbours(view, namespace, name)}`);
}

function explainNamespace(view: ClusterView, options: ClusterOptions, namespace: string, say: Say): boolean {
  if (view.hasNamespace(namespace)) {
    say('namespace', `${namespace} exists and is exposed`);
    return true;
  }
  const limits = options.namespaces
    ? `, or is not among ${[...options.namespaces].join(' ')}`
    : options.namespaceLabels
      ? `, or lacks the labels ${options.namespaceLabels.text}`
      : '';
  say('namespace', `${namespace} does not exist${limits}`);
  return false;
}

function explainPod(
  view: ClusterView,
  options: ClusterOptions,
  label: string,
  namespace: string,
  say: Say,
): void {
  if (options.pods === 'disabled') return say('pod', 'pods disabled: no pod has a name');
  if (options.pods === 'insecure')
    return say('pod', 'pods insecure: the address that the name spells is the answer');
  say('pod', `pods verified: ${label} must be the address of a live pod in ${namespace}`);
}

function explainService(
  service: ServiceEntry,
  options: ClusterOptions,
  below: readonly string[],
  say: Say,
): void {
  const { key, type, headless, clusterIPs, resourceVersion, triggerTimeMs } = service;
  const kind = headless
    ? 'headless'
    : type === 'ExternalName'
      ? `ExternalName ${service.externalName}`
      : type;
  const version = resourceVersion === '' ? '' : `, resourceVersion ${resourceVersion}`;
  const changed = triggerTimeMs > 0 ? `, endpoints changed ${new Date(triggerTimeMs).toISOString()}` : '';
  say(
    'service',
    `${key} is ${kind}${clusterIPs.length > 0 ? ` at ${clusterIPs.join(' ')}` : ''}${version}${changed}`,
  );
  if (options.ignoreEmptyService && !headless && !service.endpoints.some(({ ready }) => ready)) {
    return say('rule', 'ignore empty_service: no endpoint is ready, so the service has no name');
  }
  if (headless || below.length === 1) {
    if (options.noEndpoints) return say('rule', 'noendpoints: names that need endpoints do not exist');
    for (const endpoint of service.endpoints) say('endpoint', endpointText(endpoint, options));
    if (!service.endpoints.some(({ ready }) => ready))
      say('rule', 'no endpoint is ready: such a name does not exist');
    return;
  }
  if (type !== 'ExternalName')
    say('rule', 'a service with a cluster IP answers with it, ready endpoints or not');
}

function endpointText(endpoint: Endpoint, options: ClusterOptions): string {
  const label = endpointName(endpoint, options.endpointPodNames);
  const where = endpoint.nodeName === undefined ? '' : ` on ${endpoint.nodeName}`;
  if (endpoint.ready) return `${endpoint.address} (${label})${where}: in, ready`;
  const why = endpoint.terminating ? 'terminating' : 'not ready';
  return `${endpoint.address} (${label})${where}: out, ${why}`;
}

function explainReverse(view: ClusterView, name: string, say: Say): void {
  const address = reverseAddress(foldName(name))?.address;
  if (address === undefined) return say('rule', 'not the name of a whole address');
  const services = view.servicesAt(address);
  if (services.length === 0) return say('service', `no service has ${address}`);
  for (const { key, clusterIPs } of services) {
    const how = clusterIPs.includes(address)
      ? 'as its cluster IP, which gives the one name'
      : 'as an endpoint';
    say('service', `${key} has ${address} ${how}`);
  }
}

/** The same name elsewhere, else what there is here. */
function neighbours(view: ClusterView, namespace: string, name: string): string {
  const here: string[] = [];
  const elsewhere: string[] = [];
  for (const service of view.services()) {
    if (service.namespace === namespace) here.push(service.name);
    else if (service.name.toLowerCase() === name) elsewhere.push(service.namespace);
  }
  if (elsewhere.length > 0) return `; ${list(elsewhere)} has one`;
  return here.length > 0 ? `; there is ${list(here)}` : '';
}

function list(names: readonly string[]): string {
  const more = names.length - NEIGHBOURS;
  return names.toSorted().slice(0, NEIGHBOURS).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
