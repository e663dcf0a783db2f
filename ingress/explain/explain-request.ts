import type { Snapshot } from '../../endpoints/snapshot.ts';
import type { Gatekeeper } from '../access/gatekeeper.ts';
import type { Chooser } from '../balance/chooser.ts';
import type { ServerNames } from '../certificates/server-names.ts';
import type { RouteTable } from '../compile/route-table.ts';
import type { BackendRef, Route, Target } from '../compile/route.ts';
import type { RoutePolicy } from '../policy.ts';
import { contextOf, type RoutedRequest } from '../relay/context.ts';
import { decide } from '../relay/decide.ts';
import { errorPageRequest } from '../relay/error-page.ts';
import { outgoingRequest } from '../relay/outgoing.ts';
import { RequestRecord } from '../relay/record.ts';
import type { Reply } from '../relay/reply.ts';
import type { GlobalSettings } from '../settings.ts';
import type { Cluster } from '../upstream/clusters.ts';
import { endpointSteps } from './endpoint-steps.ts';
import type { Explanation, ExplainStep } from './explanation.ts';
import type { Question } from './question.ts';

/** What live traffic is decided by. */
export interface ExplainSources {
  readonly table: RouteTable;
  readonly settings: GlobalSettings;
  readonly serverNames: ServerNames;
  readonly snapshot: Snapshot;
  readonly gatekeeper: Gatekeeper;
  readonly chooser: Chooser;
  cluster(target: Target & { kind: 'service' }, serviceUpstream: boolean): Cluster;
}

/** Takes a question through the same steps as live traffic and writes down each of them. */
export async function explainRequest(
  sources: ExplainSources,
  { head, connection }: Question,
): Promise<Explanation> {
  const told = new Told();
  let certificate: string | undefined;
  if (connection.secure) {
    certificate = sources.serverNames.certificateFor(connection.tls?.serverName);
    told.add('tls', connection.tls?.serverName ?? 'no server name', `certificate ${certificate}`);
  }
  const verdict = decide(sources.table, contextOf(head, connection, sources.settings), told.trace);
  const ended = (answer: Reply, request: RoutedRequest | undefined): Explanation => {
    const page = request && answer.status >= 400 && errorPage(sources, request, answer.status, false, told);
    return { ...(page || told.answered(answer, request?.route)), certificate };
  };
  if (verdict.kind === 'reply') return ended(verdict.reply, verdict.routed);
  const { routed } = verdict;
  accessSteps(routed.route.policy, told);
  const admitted = await sources.gatekeeper.admit(routed, new RequestRecord(0, ''));
  if (admitted && 'status' in admitted) return ended(admitted, routed);
  return { ...(await forwarded(sources, routed, told)), certificate };
}

async function forwarded(
  sources: ExplainSources,
  routed: RoutedRequest,
  told: Told,
): Promise<Omit<Explanation, 'certificate'>> {
  const { route } = routed;
  const { serviceUpstream } = route.policy.upstream;
  let picked = sources.chooser.target(routed);
  let cluster = clusterOf(sources, picked.target, serviceUpstream);
  await cluster?.resolving;
  if (route.canary) {
    const { ingress, target } = route.canary;
    const name = `${ingress.namespace}/${ingress.name}`;
    const empty = picked.canary && (!cluster || cluster.endpoints.length === 0);
    told.add(
      'canary',
      name,
      empty ? 'has no endpoints: the main backend serves' : canaryOutcome(picked.canary, target),
    );
    if (empty) {
      picked = { target: route.target, canary: false };
      cluster = clusterOf(sources, picked.target, serviceUpstream);
    }
  }
  if (!cluster || picked.target.kind === 'none') {
    const reason = picked.target.kind === 'none' ? picked.target.reason : '';
    return told.ended(route, { status: 404, why: reason });
  }
  const service = sources.snapshot.services.get(serviceKey(picked.target.backend));
  for (const step of endpointSteps(service, picked.target.backend, serviceUpstream, cluster)) told.push(step);
  if (cluster.endpoints.length === 0)
    return (
      errorPage(sources, routed, 503, true, told) ??
      told.ended(route, { status: 503, why: cluster.reason ?? 'no endpoints' })
    );
  const outgoing = outgoingRequest(routed, '', undefined);
  told.add('upstream', outgoing.target, `sent with Host ${outgoing.authority}, ${balanceText(route.policy)}`);
  told.add('answer', cluster.key, `one of ${cluster.endpoints.length} endpoints answers`);
  return {
    ...told.base(route),
    backend: backendText(picked.target.backend, cluster.portNumber),
    canary: picked.canary,
    endpoints: cluster.endpoints.map(({ id }) => id),
    upstream: { target: outgoing.target, host: outgoing.authority },
  };
}

/** The default-backend annotation's service in the place of an error, when it has endpoints. */
function errorPage(
  sources: ExplainSources,
  routed: RoutedRequest,
  status: number,
  noEndpoints: boolean,
  told: Told,
): Omit<Explanation, 'certificate'> | undefined {
  const page = errorPageRequest(routed, status, '', noEndpoints);
  const cluster = page && sources.cluster(page.target, false);
  if (!page || !cluster || cluster.endpoints.length === 0) return undefined;
  told.add('answer', cluster.key, `default backend answers in the place of ${status}`);
  return {
    ...told.base(routed.route),
    backend: backendText(page.target.backend, cluster.portNumber),
    endpoints: cluster.endpoints.map(({ id }) => id),
    upstream: { target: page.outgoing.target, host: page.outgoing.authority },
  };
}

function clusterOf(sources: ExplainSources, target: Target, serviceUpstream: boolean): Cluster | undefined {
  return target.kind === 'service' ? sources.cluster(target, serviceUpstream) : undefined;
}

function serviceKey({ namespace, service }: BackendRef): string {
  return `${namespace}/${service}`;
}

function backendText(backend: BackendRef, portNumber: number): string {
  return `${serviceKey(backend)}:${portNumber}`;
}

function canaryOutcome(taken: boolean, target: Target): string {
  if (!taken) return 'does not take this request';
  return `takes it: ${target.kind === 'service' ? target.key : target.reason}`;
}

function balanceText({ affinity, balance }: RoutePolicy): string {
  if (affinity) return `cookie ${affinity.cookie} picks the endpoint`;
  if (balance.hashBy !== undefined) return `a hash of ${balance.hashBy} picks the endpoint`;
  return balance.algorithm.replaceAll('_', ' ');
}

/** What stands before the backend, in the order in which it is asked. */
function accessSteps(policy: RoutePolicy, told: Told): void {
  const { access, clientCertificate, limits } = policy;
  if (clientCertificate) told.add('access', 'client certificate', `verify ${clientCertificate.verify}`);
  if (limits)
    told.add(
      'access',
      'limits',
      `${limits.perSecond || '-'}/s, ${limits.perMinute || '-'}/min, ${limits.connections || '-'} at once (not counted here)`,
    );
  if (access.allow || access.deny.length > 0) told.add('access', 'source range', 'compared with the client');
  if (access.basic) told.add('access', 'basic auth', `users of secret ${access.basic.secret}`);
  if (access.external)
    told.add('access', 'auth-url', `${access.external.url} would be asked (not asked here)`);
}

/** Gathers the steps. */
class Told {
  readonly #steps: ExplainStep[] = [];
  readonly trace = {
    host: (name: string, outcome: string): void => this.add('host', name === '' ? '(none)' : name, outcome),
    path: (route: Route, outcome: string): void =>
      this.add(
        'rule',
        `${route.path} ${route.pathType} (${route.ingress.namespace}/${route.ingress.name})`,
        outcome,
      ),
  };

  add(topic: string, subject: string, outcome: string): void {
    this.#steps.push({ topic, subject, outcome });
  }

  push(step: ExplainStep): void {
    this.#steps.push(step);
  }

  answered(answer: Reply, route: Route | undefined): Omit<Explanation, 'certificate'> {
    const location = answer.fields.get('location');
    return this.ended(route, { status: answer.status, why: answer.why, location });
  }

  ended(
    route: Route | undefined,
    end: { status: number; why: string; location?: string | undefined },
  ): Omit<Explanation, 'certificate'> {
    const to = end.location === undefined ? '' : ` to ${end.location}`;
    this.add('answer', `${end.status}${to}`, end.why);
    return { ...this.base(route), status: end.status, why: end.why, location: end.location };
  }

  base(route: Route | undefined): Omit<Explanation, 'certificate'> {
    return {
      steps: this.#steps,
      backend: null,
      status: null,
      location: undefined,
      why: undefined,
      ingress: route && `${route.ingress.namespace}/${route.ingress.name}`,
      canary: false,
      endpoints: [],
      upstream: undefined,
    };
  }
}
