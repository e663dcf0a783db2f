import type { Clock } from '../../src/base/clock.ts';
import { blockedReply } from '../access/block-list.ts';
import { Chooser } from '../balance/chooser.ts';
import { noteLatency } from '../balance/health.ts';
import type { Fields } from '../http/fields.ts';
import { frameRequest } from '../http/framing.ts';
import { requestHeadText } from '../http/h1-client.ts';
import { scanRequestHead } from '../http/head.ts';
import { contextOf, type RoutedRequest } from '../relay/context.ts';
import { decide, sourceAllowed } from '../relay/decide.ts';
import { outgoingRequest } from '../relay/outgoing.ts';
import { type Reply, reply } from '../relay/reply.ts';
import type { RequestIds } from '../relay/request-id.ts';
import { type ResponseHeaders, shapeResponse } from '../relay/response-policy.ts';
import type { Choice } from '../relay/services.ts';
import type { GlobalSettings } from '../settings.ts';
import type { ClientConnection } from './client-connection.ts';
import { factsOf } from './connection-facts.ts';
import { type WorkerCluster, WorkerEndpoint } from './endpoints.ts';
import { choosesByRequest } from './fast-policy.ts';
import { HEADROOM_BYTES } from './limits.ts';
import type { FastRoute, WorkerTable } from './worker-table.ts';

/** A request that annotations or settings have answered here. */
export interface Answered {
  readonly request: RoutedRequest;
  readonly reply: Reply;
}

/** A request as annotations and settings want an endpoint to have it. */
export interface Composed {
  readonly request: RoutedRequest;
  readonly reply: undefined;
  readonly cluster: WorkerCluster;
  /** The key of the canary's backend that took it, else empty. */
  readonly canary: string;
  /** Empty = none is wanted. */
  readonly requestId: string;
  /** What the endpoint gets before the body, in Latin-1; at most HEADROOM_BYTES. */
  readonly head: string;
  /** How the endpoint is chosen, where that is more than its turn. */
  readonly choice: Choice | undefined;
}

export interface ComposerDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly requestIds: RequestIds;
  readonly table: Pick<WorkerTable, 'routes' | 'responseHeaders'>;
}

/**
 * Does to requests what annotations and settings ask for beyond a plain relay, by the portable engine's own functions: redirects,
 * rewriting, source ranges, CORS, canaries, affinity, fields. It makes objects, as that engine does; everything between
 * the heads stays as cheap as on the fast path.
 */
export class Composer {
  readonly #deps: ComposerDeps;
  readonly #chooser: Chooser;

  constructor(deps: ComposerDeps) {
    this.#deps = deps;
    // passive health is the relay's business
    this.#chooser = new Chooser({ ...deps, ejected: () => {} });
  }

  /** What becomes of the request whose head `bytes` are; undefined = for the portable engine. */
  compose(
    bytes: Buffer,
    client: ClientConnection,
    fast: FastRoute,
    settings: GlobalSettings,
  ): Answered | Composed | undefined {
    const scanned = scanRequestHead(bytes, 0, settings.server.limits);
    const head = scanned && !('status' in scanned) ? frameRequest(scanned) : undefined;
    if (!head || 'status' in head) return undefined;
    const context = contextOf(head, factsOf(client), settings);
    const verdict = decide(this.#deps.table.routes, context);
    if (verdict.kind === 'reply') return verdict.routed && { request: verdict.routed, reply: verdict.reply };
    const request = verdict.routed;
    const refused =
      blockedReply(request) ?? (sourceAllowed(request) === false ? reply(403, 'source range') : undefined);
    return refused ? { request, reply: refused } : this.#compose(request, fast);
  }

  /** Does to the fields of an answer what policies ask for. */
  shape(request: RoutedRequest, status: number, fields: Fields): void {
    shapeResponse(request, status, fields, this.#responseHeaders);
  }

  #compose(request: RoutedRequest, fast: FastRoute): Composed | undefined {
    const requestId = this.#requestId(request);
    const head = requestHeadText(outgoingRequest(request, requestId, undefined));
    if (head.length > HEADROOM_BYTES) return undefined;
    const { cluster, canary } = this.#target(request, fast);
    const choice = choosesByRequest(request.route.policy)
      ? this.#chooser.choose(request, cluster, canary !== '', this.#deps.clock.monotonicMs())
      : undefined;
    return { request, reply: undefined, cluster, canary, requestId, head, choice };
  }

  /** A canary without endpoints takes nothing from its main backend. */
  #target(
    request: RoutedRequest,
    { cluster, canaryCluster }: FastRoute,
  ): { readonly cluster: WorkerCluster; readonly canary: string } {
    if (!canaryCluster || canaryCluster.endpoints.length === 0) return { cluster, canary: '' };
    const { target, canary } = this.#chooser.target(request);
    if (!canary || target.kind !== 'service') return { cluster, canary: '' };
    return { cluster: canaryCluster, canary: target.key };
  }

  #requestId({ head, settings }: RoutedRequest): string {
    const given = head.fields.get('x-request-id');
    if (given !== undefined && given !== '') return given;
    return settings.generateRequestId ? this.#deps.requestIds.next() : '';
  }

  readonly #responseHeaders: ResponseHeaders = (configMap) => this.#deps.table.responseHeaders(configMap);
}

/** The endpoint that a composed request goes to; undefined = there is none for it. */
export function pickFor({ request, cluster, choice }: Composed, clock: Clock): WorkerEndpoint | undefined {
  if (!choice) return cluster.pick(request.route.policy.balance.health, clock);
  const picked = choice.pick([]);
  return picked instanceof WorkerEndpoint ? picked : undefined;
}

/** For `load-balance: ewma`. */
export function noteAnswerTime(
  { request }: Composed,
  endpoint: WorkerEndpoint,
  startedMs: number,
  nowMs: number,
): void {
  if (request.route.policy.balance.algorithm === 'ewma') noteLatency(endpoint, nowMs - startedMs, nowMs);
}
