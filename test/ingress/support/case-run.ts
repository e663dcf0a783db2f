/**
 * Runs the cases of the four ingress profiles against a running controller over real sockets. It must be the only
 * thing in its network namespace: it takes the cases' own addresses. Prints one JSON line a case and mode.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleepMs } from 'node:timers/promises';
import { Tracker } from '../../../endpoints/tracker.ts';
import { selfSignedCertificate } from '../../../src/net/self-signed.ts';
import { IngressController } from '../../../ingress/controller.ts';
import { defaultH1ServerOptions } from '../../../ingress/http/h1-server.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { createLogger, formatText } from '../../../src/base/log.ts';
import { Registry } from '../../../src/base/metrics.ts';
import type { UnknownObject } from '../../../src/api/kinds/meta.ts';
import { parseCidr } from '../../../src/net/cidr.ts';
import { waitFor } from '../../support/wait-for.ts';
import { send } from './case-client.ts';
import { type Evidence, judge } from './case-judge.ts';
import type { Case, CaseGroup, CaseRequest, Outcome } from './case-types.ts';
import { inMode, type Mode, MODES } from './case-modes.ts';
import { EchoBackends } from './echo-backends.ts';
import { ENGINE } from './engine.ts';

const PROFILES = new Set(['ingress-v1', 'ingress-legacy', 'nginx-annotations', 'proxy']);
const INGRESS = { ipv4: '192.0.2.10', ipv6: '2001:db8:ffff::10' };
const SELF_SIGNED = 'cases.test/self-signed-for';

const { groups } = JSON.parse(readFileSync(new URL('../../cases/ingress.json', import.meta.url), 'utf8')) as {
  groups: CaseGroup[];
};
const only = process.argv[2];
/** Ends of tries of one request, as the access log tells them. */
const logged: { readonly tries: readonly unknown[] }[] = [];
const log = createLogger(
  (record) => process.env['VERBOSE'] && process.stderr.write(`${formatText(record, Date.now())}\n`),
  'debug',
);

/** Gives the Secrets that ask for it a certificate; the answer maps `namespace/name` to the SAN text. */
async function withCertificates(
  objects: readonly UnknownObject[],
): Promise<{ objects: UnknownObject[]; certificates: Map<string, string> }> {
  const certificates = new Map<string, string>();
  const out: UnknownObject[] = [];
  for (const object of objects) {
    const names = object.metadata.annotations?.[SELF_SIGNED]?.split(',');
    if (!names) {
      out.push(object);
      continue;
    }
    const pair = await selfSignedCertificate(names[0]!, names, Date.now());
    out.push({ ...object, stringData: { 'tls.crt': pair.cert, 'tls.key': pair.key } });
    certificates.set(
      `${object.metadata.namespace}/${object.metadata.name}`,
      names.map((name) => `DNS:${name}`).join(', '),
    );
  }
  return { objects: out, certificates };
}

async function runGroup(group: CaseGroup): Promise<void> {
  const { objects, certificates } = await withCertificates(group.objects);
  const pair = await selfSignedCertificate('backend', ['backend'], Date.now());
  for (const strict of group.cases.some(({ level }) => level === 'quirk') ? [false, true] : [false]) {
    await using backends = new EchoBackends(objects, pair);
    await backends.open();
    const statuses = new Map<string, boolean>();
    const tracker = new Tracker({ log });
    const port = (n: number): { host: string; port: number }[] =>
      [INGRESS.ipv4, INGRESS.ipv6].map((host) => ({ host, port: n }));
    await using controller = await IngressController.open(
      {
        snapshots: tracker,
        clock: systemClock,
        log,
        metrics: new Registry(),
        random: seededRandom(),
        accessLog: (line) => logged.push(JSON.parse(line) as { tries: unknown[] }),
        resolve: () => Promise.reject(new Error('no DNS here')),
        publishStatus: async (ingress, addresses) =>
          void statuses.set(`${ingress.metadata.namespace}/${ingress.metadata.name}`, addresses.length > 0),
      },
      {
        http: port(80),
        https: port(443),
        engine: ENGINE,
        ingressClass: 'edge',
        controllerName: 'cases.test/ingress',
        watchWithoutClass: false,
        applyDefaultClass: group.settings?.admission === true,
        strict,
        statusAddresses: [{ ip: INGRESS.ipv4 }],
        settings: {
          drainMs: 100,
          accessLog: 'json',
          ...(group.settings?.maxHeaderBytes !== undefined && {
            server: {
              ...defaultH1ServerOptions,
              limits: { ...defaultH1ServerOptions.limits, totalBytes: group.settings.maxHeaderBytes },
            },
          }),
          ...(group.settings?.trustedCidrs && {
            trustedProxies: group.settings.trustedCidrs.map((text) => parseCidr(text)!),
          }),
          useForwardedHeaders: group.settings?.trustForwardedHeaders === true,
          useProxyProtocol: group.settings?.proxyProtocol === true,
        },
      },
    );
    for (const object of objects) {
      tracker.upsert(object);
      controller.upsert(object);
    }
    for (const kind of ['Service', 'Node', 'Namespace']) tracker.synced('v1', kind);
    tracker.synced('discovery.k8s.io/v1', 'EndpointSlice');
    controller.synced('networking.k8s.io/v1', 'Ingress');
    await waitFor('the first table', () => controller.ready);
    await controller.settled();
    await waitFor('the status', () => statuses.size > 0 || !group.cases.some(wantsStatus));
    for (const one of group.cases) {
      if ((one.level === 'quirk') !== strict) continue;
      for (const mode of ENGINE === 'native' ? (['as-is', 'tls'] as const) : MODES)
        await runCase(one, mode, backends, certificates, statuses, group);
    }
  }
}

async function runCase(
  one: Case,
  mode: Mode,
  backends: EchoBackends,
  certificates: Map<string, string>,
  statuses: Map<string, boolean>,
  group: CaseGroup,
): Promise<void> {
  const request = inMode(one, mode, group);
  if (!request) return;
  await backends.begin(request);
  logged.length = 0;
  const outcomes = await sendAll(request);
  const abortedAtMs = performance.now();
  if (one.expect.upstreamCancelledWithinMs !== undefined)
    await within(20_000, () => backends.seen.some(({ cancelledMs }) => cancelledMs !== undefined));
  if (one.expect.upstreamConnectionReused === false) await within(20_000, () => backends.openSockets === 0);
  // what a cut request left behind may reach the backend a moment later
  if (outcomes.some(({ aborted }) => aborted)) await sleepMs(50);
  // another thread writes the log of the native engine
  if (one.expect.upstreamAttempts !== undefined) await within(20_000, () => logged.length > 0);
  const evidence: Evidence = {
    outcomes,
    seen: [...backends.seen],
    tries: logged.at(-1)?.tries.length ?? 0,
    openSockets: backends.openSockets,
    abortedAtMs,
    certificates,
    statusOf: (ingress) => statuses.get(ingress) === true,
    objects: group.objects,
  };
  let faults = judge(one, one.expect, evidence);
  if (faults.length > 0 && one.alternative && judge(one, one.alternative, evidence).length === 0) faults = [];
  process.stdout.write(`${JSON.stringify({ id: one.id, mode, level: one.level ?? 'must', faults })}\n`);
}

function wantsStatus({ expect }: Case): boolean {
  return expect.ingressStatus?.hasAddress === true;
}

/** Waits for the condition, but no longer than so; the judge says what is missing. */
async function within(deadlineMs: number, condition: () => boolean): Promise<void> {
  await waitFor('the condition', condition, deadlineMs).catch(() => {});
}

/** mulberry32: weights are met or missed the same in every run. */
function seededRandom(): () => number {
  let state = 20_261_121;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function sendAll(request: CaseRequest): Promise<Outcome[]> {
  const count = request.count ?? 1;
  const numbers = Array.from({ length: count }, (_, n) => n);
  if (request.atOnce) return await Promise.all(numbers.map((n) => send(request, INGRESS, n)));
  const outcomes: Outcome[] = [];
  for (const n of numbers) outcomes.push(await send(request, INGRESS, n));
  return outcomes;
}

for (const group of groups) {
  if (!PROFILES.has(group.profile) || (only !== undefined && !group.id.startsWith(only))) continue;
  await runGroup(group);
}
process.exit(0);
