import { isIngressKind, toIngressV1 } from '../../../ingress/compile/normalize.ts';
import type { UnknownObject } from '../../../src/api/kinds/meta.ts';
import type { Case, Expectation, Outcome, Seen } from './case-types.ts';

export interface Evidence {
  readonly outcomes: readonly Outcome[];
  readonly seen: readonly Seen[];
  /** Tries the last request took, as the access log says. */
  readonly tries: number;
  /** Connections to backends that are still open. */
  readonly openSockets: number;
  readonly abortedAtMs: number;
  readonly certificates: ReadonlyMap<string, string>;
  readonly statusOf: (ingress: string) => boolean;
  readonly objects: readonly UnknownObject[];
}

/** Parameters of other checks, remarks, and what the API server's admission is asked instead of the ingress. */
const NOT_CHECKED_HERE = new Set(['weightTolerance', 'countTolerance', 'note', 'storedIngressClassName']);

type Check = (expected: Expectation, evidence: Evidence, request: Case['request']) => string | undefined;

/** Every way in which the evidence differs from the expectation; empty = fine. */
export function judge(one: Case, expected: Expectation, evidence: Evidence): string[] {
  const faults = Object.keys(expected)
    .filter((key) => !Object.hasOwn(CHECKS, key) && !NOT_CHECKED_HERE.has(key))
    .map((key) => `${key}: nobody checks it`);
  for (const [key, check] of Object.entries(CHECKS)) {
    if (expected[key] === undefined) continue;
    const fault = check(expected, evidence, one.request);
    if (fault !== undefined) faults.push(`${key}: ${fault}`);
  }
  return faults;
}

const last = (evidence: Evidence): Outcome => evidence.outcomes.at(-1)!;
const proxied = (evidence: Evidence): Seen[] =>
  evidence.seen.filter(({ backend }) => !/\/(authz|mirror|errpages):/.test(backend));
const differs = (want: unknown, got: unknown): string | undefined =>
  JSON.stringify(want) === JSON.stringify(got)
    ? undefined
    : `wanted ${JSON.stringify(want)}, got ${JSON.stringify(got)}`;

function backendCheck(want: readonly (string | null)[], evidence: Evidence): string | undefined {
  const served =
    proxied(evidence).length > 0
      ? proxied(evidence)
      : evidence.seen.filter(({ backend }) => !backend.includes('/authz:'));
  const got = [...new Set(served.map(({ backend }) => backend))];
  if (got.length === 0) return want.includes(null) ? undefined : `reached nobody, wanted ${want.join()}`;
  const odd = got.find((backend) => !want.includes(backend));
  return odd === undefined ? undefined : `reached ${odd}, wanted ${want.join()}`;
}

function fieldsCheck(
  want: Readonly<Record<string, string | null>>,
  got: Readonly<Record<string, unknown>> | undefined,
): string | undefined {
  for (const [name, value] of Object.entries(want)) {
    const found = got?.[name.toLowerCase()];
    if (value === null ? found !== undefined : String(found) !== value)
      return `${name}: wanted ${value}, got ${String(found)}`;
  }
  return undefined;
}

const CHECKS: Readonly<Record<string, Check>> = {
  backend: ({ backend }, evidence) => backendCheck([backend ?? null], evidence),
  backendIn: ({ backendIn }, evidence) => backendCheck(backendIn!, evidence),
  status: ({ status }, evidence) => {
    const odd = evidence.outcomes.find(({ statuses }) => statuses[0] !== status);
    return odd && `wanted ${status}, got ${odd.statuses.join() || 'nothing'}`;
  },
  statusIn: ({ statusIn }, evidence) =>
    statusIn!.includes(last(evidence).statuses[0] ?? 0)
      ? undefined
      : `got ${last(evidence).statuses.join() || 'nothing'}`,
  statuses: ({ statuses }, evidence) => differs(statuses, last(evidence).statuses),
  statusCounts: ({ statusCounts, countTolerance = 0 }, evidence) => {
    const counts: Record<string, number> = {};
    for (const { statuses } of evidence.outcomes)
      counts[String(statuses[0])] = (counts[String(statuses[0])] ?? 0) + 1;
    const odd = Object.entries(statusCounts!).find(
      ([status, count]) => Math.abs((counts[status] ?? 0) - count) > countTolerance,
    );
    return odd && `wanted ${JSON.stringify(statusCounts)}, got ${JSON.stringify(counts)}`;
  },
  pathSeenByBackend: ({ pathSeenByBackend }, evidence) =>
    differs(pathSeenByBackend, proxied(evidence)[0]?.target),
  pathsSeenByBackend: ({ pathsSeenByBackend }, evidence) =>
    differs(
      pathsSeenByBackend,
      proxied(evidence).map(({ target }) => target),
    ),
  hostSeenByBackend: ({ hostSeenByBackend }, evidence) =>
    differs(hostSeenByBackend, proxied(evidence)[0]?.headers['host']),
  headersSeenByBackend: ({ headersSeenByBackend }, evidence) =>
    fieldsCheck(headersSeenByBackend!, (proxied(evidence)[0] ?? evidence.seen[0])?.headers),
  headersSeenByBackendMatch: ({ headersSeenByBackendMatch }, evidence) => {
    const odd = Object.entries(headersSeenByBackendMatch!).find(
      ([name, pattern]) => !new RegExp(pattern).test(proxied(evidence)[0]?.headers[name] ?? ''),
    );
    return odd && `${odd[0]} is ${proxied(evidence)[0]?.headers[odd[0]]}`;
  },
  responseHeaders: ({ responseHeaders }, evidence) => fieldsCheck(responseHeaders!, last(evidence).headers),
  certificateFor: ({ certificateFor }, evidence) => {
    const got = last(evidence).certificate ?? '';
    const name = [...evidence.certificates].find(([, names]) => names === got)?.[0] ?? 'default';
    return differs(certificateFor, name);
  },
  location: ({ location }, evidence, request) =>
    differs(canonical(location!), canonical(resolved(last(evidence), request) ?? 'none:')),
  locationIn: ({ locationIn }, evidence, request) =>
    locationIn!.map(canonical).includes(canonical(resolved(last(evidence), request) ?? 'none:'))
      ? undefined
      : `got ${resolved(last(evidence), request)}`,
  weights: ({ weights, weightTolerance = 0.05 }, evidence) => {
    for (const [backend, share] of Object.entries(weights!)) {
      const got = evidence.seen.filter((seen) => seen.backend === backend).length / evidence.seen.length;
      if (Math.abs(got - share) > weightTolerance) return `${backend}: wanted ${share}, got ${got}`;
    }
    return undefined;
  },
  endpointsIn: ({ endpointsIn }, evidence) => {
    const odd = proxied(evidence).find(({ endpoint }) => !endpointsIn!.includes(endpoint));
    return odd && `reached ${odd.endpoint}`;
  },
  distinctEndpoints: ({ distinctEndpoints }, evidence) =>
    differs(distinctEndpoints, new Set(proxied(evidence).map(({ endpoint }) => endpoint)).size),
  setCookie: ({ setCookie }, evidence) => {
    const all = [last(evidence).headers['set-cookie'] ?? []].flat();
    const found = all.find((text) => text.startsWith(`${setCookie!.name}=`));
    if (!found) return `no cookie ${setCookie!.name}`;
    for (const [name, value] of Object.entries(setCookie!.attributes ?? {})) {
      if (!found.includes(value === true ? `; ${name}` : `; ${name}=${value}`))
        return `${found} lacks ${name}`;
    }
    return undefined;
  },
  thenBackend: ({ thenBackend }, evidence) => differs(thenBackend, evidence.seen[1]?.backend),
  thenPathSeen: ({ thenPathSeen }, evidence) => differs(thenPathSeen, evidence.seen[1]?.target),
  thenHeadersSeen: ({ thenHeadersSeen }, evidence) =>
    fieldsCheck(thenHeadersSeen!, evidence.seen[1]?.headers),
  authRequestSeen: ({ authRequestSeen }, evidence) => {
    const auth = evidence.seen.find(({ backend }) => backend.includes('/authz:'));
    return auth ? differs(authRequestSeen!.bodyBytes, auth.bodyBytes) : 'no auth request';
  },
  upstreamAttempts: ({ upstreamAttempts }, evidence) => differs(upstreamAttempts, evidence.tries),
  upstreamConnectionReused: (_, evidence) =>
    evidence.openSockets === 0 ? undefined : `${evidence.openSockets} connections are kept`,
  readAsV1: ({ readAsV1 }, evidence) => {
    const { ingress, path, value } = readAsV1!;
    const object = evidence.objects.find(
      (each) => isIngressKind(each) && `${each.metadata.namespace}/${each.metadata.name}` === ingress,
    );
    return differs(value, object && valueAt(toIngressV1(object), path));
  },
  upstreamProtocol: ({ upstreamProtocol }, evidence) =>
    differs(upstreamProtocol, proxied(evidence)[0]?.protocol),
  connection: (_, evidence) => (last(evidence).closed ? undefined : 'still open'),
  backendRequests: ({ backendRequests }, evidence) => differs(backendRequests, proxied(evidence).length),
  mustNotReach: ({ mustNotReach }, evidence) =>
    evidence.seen.find(({ backend }) => mustNotReach!.includes(backend))?.backend,
  interim: ({ interim }, evidence) => differs(interim, last(evidence).interim),
  bodySeenByBackend: ({ bodySeenByBackend }, evidence) =>
    differs(bodySeenByBackend, proxied(evidence)[0]?.body),
  body: ({ body }, evidence) => differs(body, last(evidence).body),
  clientSees: (_, evidence) => (last(evidence).aborted ? undefined : 'a complete answer'),
  upstreamCancelledWithinMs: ({ upstreamCancelledWithinMs }, evidence) => {
    const at = proxied(evidence)[0]?.cancelledMs;
    return at !== undefined && at - evidence.abortedAtMs <= upstreamCancelledWithinMs!
      ? undefined
      : `cancelled after ${at === undefined ? 'never' : at - evidence.abortedAtMs} ms`;
  },
  ingressStatus: ({ ingressStatus }, evidence) =>
    differs(ingressStatus!.hasAddress, evidence.statusOf(ingressStatus!.ingress)),
  streamErrorOrStatus: ({ streamErrorOrStatus }, evidence) =>
    last(evidence).aborted || last(evidence).statuses[0] === streamErrorOrStatus
      ? undefined
      : `got ${last(evidence).statuses.join()}`,
};

/** `a.b[0].c` of an object. */
function valueAt(object: unknown, path: string): unknown {
  let at = object;
  for (const part of path.split(/[.[\]]+/)) at = (at as Record<string, unknown> | undefined)?.[part];
  return at;
}

function canonical(url: string): string {
  return new URL(url).href;
}

/** Location resolved against the request, without default ports. */
function resolved(outcome: Outcome, request: Case['request']): string | undefined {
  const location = outcome.headers['location'];
  if (typeof location !== 'string') return undefined;
  const base = `${request.tls ? 'https' : 'http'}://${request.host}${request.path}`;
  return new URL(location, base).href;
}
