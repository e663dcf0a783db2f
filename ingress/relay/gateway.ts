import type { Clock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/log.ts';
import { noRoute } from '../compile/no-route.ts';
import { RouteTable } from '../compile/route-table.ts';
import { normalPath } from '../compile/path-normal.ts';
import { backendKey, type BackendRef, type Target } from '../compile/route.ts';
import type { AbortReason, Exchange, ExchangeHandler } from '../http/exchange.ts';
import type { Fields } from '../http/fields.ts';
import { reasonPhrase } from '../http/status.ts';
import type { GlobalSettings } from '../settings.ts';
import type { TimerWheel } from '../timer-wheel.ts';
import type { EndpointState } from '../upstream/cluster.ts';
import type { Cluster } from '../upstream/clusters.ts';
import type { OutgoingRequest, UpstreamHandler, UpstreamStream } from '../upstream/stream.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import type { Challenges } from '../acme/challenges.ts';
import type { Admission, Admitted, Gatekeeper } from '../access/gatekeeper.ts';
import type { ActiveChecks } from '../balance/active-checks.ts';
import type { Chooser } from '../balance/chooser.ts';
import { RequestTrace } from '../observe/tracing/request-trace.ts';
import { LiveExplanations } from '../explain/live-explanation.ts';
import type { RequestObserver } from '../observe/observer.ts';
import { contextOf, type RequestContext, type RoutedRequest } from './context.ts';
import { decide } from './decide.ts';
import type { FailedTry } from './failed-try.ts';
import { outgoingRequest } from './outgoing.ts';
import type { Mirrors } from './mirrors.ts';
import { RequestRecord } from './record.ts';
import { Relay } from './relay.ts';
import type { RequestIds } from './request-id.ts';
import { type Reply, reply } from './reply.ts';
import { RetryBudget } from './retry.ts';
import { errorPageRequest } from './error-page.ts';
import { type ResponseHeaders, shapeResponse } from './response-policy.ts';
import type { Choice, RelayServices } from './services.ts';
import type { Tunnel } from './tunnel.ts';

export interface GatewayDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly wheel: TimerWheel;
  readonly upstreams: Upstreams;
  readonly gatekeeper: Gatekeeper;
  readonly chooser: Chooser;
  readonly observer: RequestObserver;
  readonly requestIds: RequestIds;
  /** Answers an ACME CA before any rule. */
  readonly challenges: Challenges | undefined;
  readonly mirrors: Mirrors;
  readonly checks: ActiveChecks;
  /** Fields of a custom-headers ConfigMap, filtered by what the controller allows. */
  readonly responseHeaders: ResponseHeaders;
  cluster(target: Target & { kind: 'service' }, serviceUpstream: boolean): Cluster;
}

/** Serves every exchange of every listener by the table and settings of the moment. */
export class Gateway implements RelayServices {
  readonly #deps: GatewayDeps;
  readonly #budget = new RetryBudget();
  readonly #tunnels = new Set<Tunnel>();
  readonly #admissions = new WeakMap<RoutedRequest, Admission>();
  readonly #explanations = new LiveExplanations();
  #table: RouteTable = RouteTable.empty;
  #settings: GlobalSettings;
  #active = 0;

  constructor(deps: GatewayDeps, settings: GlobalSettings) {
    this.#deps = deps;
    this.#settings = settings;
  }

  get wheel(): TimerWheel {
    return this.#deps.wheel;
  }
  get log(): Logger {
    return this.#deps.log;
  }
  get table(): RouteTable {
    return this.#table;
  }
  get settings(): GlobalSettings {
    return this.#settings;
  }
  /** Requests and tunnels under way. */
  get active(): number {
    return this.#active + this.#tunnels.size;
  }

  /** Makes a new configuration visible whole; requests under way keep the route they have. */
  publish(table: RouteTable, settings: GlobalSettings): void {
    this.#table = table;
    this.#settings = settings;
  }

  nowMs(): number {
    return this.#deps.clock.monotonicMs();
  }

  /** Takes a request from a listener; `failed`: another engine has made the first try. */
  serve(exchange: Exchange, failed?: FailedTry): void {
    const settings = this.#settings;
    const context = contextOf(exchange.head, exchange.connection, settings);
    const record = new RequestRecord(this.nowMs(), this.#requestId(exchange, settings));
    record.failedTry = failed;
    if (settings.tracing) record.trace = new RequestTrace(exchange.head.fields, settings.tracing);
    if (settings.explainAllow) this.#explanations.begin(this.#table, context, record);
    this.#active++;
    this.#budget.earn();
    try {
      this.#decide(exchange, context, record);
    } catch (error) {
      this.#broken(exchange, context, record, error);
    }
  }

  /** Our own fault in one request is that request's 500, and nobody else's. */
  #broken(exchange: Exchange, context: RequestContext, record: RequestRecord, error: unknown): void {
    this.log.error('request failed', { error, target: context.head.target });
    if (exchange.headSent) {
      exchange.abort();
      return this.finished(record, unrouted(context), 500, exchange.sentBytes);
    }
    this.#send(exchange, unrouted(context), reply(500, 'fault of the ingress'), record);
  }

  #decide(exchange: Exchange, context: RequestContext, record: RequestRecord): void {
    const { settings } = context;
    const proof = this.#deps.challenges?.reply(exchange.head);
    if (proof) return this.#send(exchange, unrouted(context), proof, record);
    const verdict = decide(this.#table, context);
    if (verdict.kind === 'reply' && verdict.reply.status === 404 && settings.defaultBackend)
      return this.#forward(exchange, toDefaultBackend(context, settings.defaultBackend), record);
    if (verdict.kind === 'reply')
      return this.#send(exchange, verdict.routed ?? unrouted(context), verdict.reply, record);
    const admitted = this.#deps.gatekeeper.admit(verdict.routed, record);
    if (!(admitted instanceof Promise)) return this.#admitted(exchange, verdict.routed, record, admitted);
    const guard = new Waiting(exchange, () => this.finished(record, verdict.routed, 499, 0));
    admitted
      .then((answer) => guard.gone || this.#admitted(exchange, verdict.routed, record, answer))
      .catch((error: unknown) => guard.gone || this.#broken(exchange, context, record, error));
  }

  open(
    endpoint: EndpointState,
    request: RoutedRequest,
    outgoing: OutgoingRequest,
    handler: UpstreamHandler,
    fresh: boolean,
  ): UpstreamStream {
    return this.#deps.upstreams.open(endpoint, request, outgoing, handler, fresh);
  }

  reply(exchange: Exchange, request: RoutedRequest, answer: Reply, record: RequestRecord): void {
    this.#send(exchange, request, answer, record);
  }

  shapeResponse(request: RoutedRequest, status: number, fields: Fields, choice: Choice): void {
    shapeResponse(request, status, fields, this.#deps.responseHeaders);
    const given = this.#admissions.get(request)?.responseFields;
    const cookies = COOKIE_STATUSES.has(status) || request.route.policy.access.external?.alwaysSetCookie;
    if (given && cookies)
      for (let i = 0; i < given.length; i++) fields.push(given.names[i]!, given.values[i]!);
    if (choice.cookie !== undefined) fields.add('Set-Cookie', choice.cookie);
    if (request.settings.explainAllow) this.#explanations.addTo(request.head, fields);
  }

  replaceError(
    exchange: Exchange,
    request: RoutedRequest,
    status: number,
    record: RequestRecord,
    noEndpoints: boolean,
  ): boolean {
    const page = errorPageRequest(request, status, record.requestId, noEndpoints);
    if (!page) return false;
    const cluster = this.#deps.cluster(page.target, false);
    if (cluster.endpoints.length === 0) return false;
    const errorRoute = { ...request.route, target: page.target, policy: page.policy };
    const routed: RoutedRequest = { ...request, route: errorRoute };
    const choice = this.#deps.chooser.choose(routed, cluster, false, this.nowMs());
    new Relay(this, exchange, routed, record, choice).start(page.outgoing);
    return true;
  }

  spendRetry(): boolean {
    return this.#budget.spend(this.nowMs());
  }

  tunnelOpened(tunnel: Tunnel): () => void {
    this.#tunnels.add(tunnel);
    return () => void this.#tunnels.delete(tunnel);
  }

  finished(record: RequestRecord, request: RoutedRequest, status: number, bytes: number): void {
    this.#active--;
    this.#deps.gatekeeper.release(request);
    this.#deps.observer.finished(record, request, status, bytes, this.nowMs());
  }

  /** Cuts what still runs, at the end of a drain. */
  cutTunnels(): void {
    for (const tunnel of this.#tunnels) tunnel[Symbol.dispose]();
  }

  #admitted(exchange: Exchange, request: RoutedRequest, record: RequestRecord, answer: Admitted): void {
    if (answer && 'status' in answer) return this.#send(exchange, request, answer, record);
    if (answer) this.#admissions.set(request, answer);
    this.#forward(exchange, request, record);
  }

  #forward(exchange: Exchange, request: RoutedRequest, record: RequestRecord): void {
    let picked = this.#deps.chooser.target(request);
    const { serviceUpstream } = request.route.policy.upstream;
    let cluster =
      picked.target.kind === 'service' ? this.#deps.cluster(picked.target, serviceUpstream) : undefined;
    if (picked.canary && (!cluster || cluster.endpoints.length === 0)) {
      // A canary without endpoints takes nothing from its main backend.
      picked = { target: request.route.target, canary: false };
      cluster =
        picked.target.kind === 'service' ? this.#deps.cluster(picked.target, serviceUpstream) : undefined;
    }
    if (!cluster) {
      const reason = picked.target.kind === 'none' ? picked.target.reason : '';
      return this.#send(exchange, request, reply(404, reason), record);
    }
    record.canary = picked.canary ? cluster.key : '';
    const chosen = cluster;
    if (!chosen.resolving) return this.#start(exchange, request, record, chosen);
    const guard = new Waiting(exchange, () => this.finished(record, request, 499, 0));
    chosen.resolving
      .then(() => guard.gone || this.#start(exchange, request, record, chosen))
      .catch((error: unknown) => guard.gone || this.#broken(exchange, request, record, error));
  }

  #start(exchange: Exchange, request: RoutedRequest, record: RequestRecord, cluster: Cluster): void {
    const { check } = request.route.policy.balance;
    if (check) this.#deps.checks.watch(cluster, check);
    const choice = this.#deps.chooser.choose(request, cluster, record.canary !== '', record.startedMs);
    const outgoing = outgoingRequest(request, record.requestId, this.#admissions.get(request)?.addFields);
    const copy = request.route.policy.mirror && this.#deps.mirrors.send(request, outgoing);
    new Relay(this, exchange, request, record, choice).start(outgoing, copy);
  }

  #send(exchange: Exchange, request: RoutedRequest, answer: Reply, record: RequestRecord): void {
    record.why = answer.why;
    if (answer.status >= 400 && this.replaceError(exchange, request, answer.status, record, false)) return;
    const fields = answer.fields.copy();
    shapeResponse(request, answer.status, fields, this.#deps.responseHeaders);
    const body = Buffer.from(answer.body);
    if (request.settings.explainAllow) this.#explanations.addTo(request.head, fields);
    // RFC 9110 section 6.6.1: whoever makes an answer dates it
    fields.set('Date', new Date(this.#deps.clock.nowMs()).toUTCString());
    fields.set('Content-Length', String(body.length));
    if (answer.status === 204 || answer.status === 304) fields.remove('content-length');
    exchange.handler = new Waiting(exchange, () => {});
    exchange.sendHead(answer.status, reasonPhrase(answer.status), fields, body.length);
    exchange.sendData(body);
    exchange.sendEnd(undefined);
    this.finished(record, request, answer.status, body.length);
  }

  #requestId(exchange: Exchange, settings: GlobalSettings): string {
    const given = exchange.head.fields.get('x-request-id');
    if (given !== undefined && given !== '') return given;
    return settings.generateRequestId ? this.#deps.requestIds.next() : '';
  }
}

/** Answers that carry cookies of the auth service without auth-always-set-cookie (nginx add_header). */
const COOKIE_STATUSES = new Set([200, 201, 204, 206, 301, 302, 303, 304, 307, 308]);

/** Stands in for the relay while something else is awaited: notices that the client has gone. */
class Waiting implements ExchangeHandler {
  gone = false;
  readonly #left: () => void;

  constructor(exchange: Exchange, left: () => void) {
    this.#left = left;
    exchange.handler = this;
  }

  bodyData(): void {}
  bodyEnd(): void {}
  exchangeDrained(): void {}
  exchangeAborted(_reason: AbortReason): void {
    this.gone = true;
    this.#left();
  }
}

/** What no rule takes goes to the controller's default backend, as it came. */
function toDefaultBackend(context: RequestContext, backend: BackendRef): RoutedRequest {
  const target: Target = { kind: 'service', backend, key: backendKey(backend) };
  const path = normalPath(context.head.target) ?? context.head.target;
  return { ...context, route: { ...noRoute, target }, path, captures: undefined };
}

/** For answers that no route gave: counted and logged like the others, with an empty policy. */
function unrouted(context: RequestContext): RoutedRequest {
  return { ...context, route: noRoute, path: context.head.target, captures: undefined };
}
