import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Tracker } from '../../../endpoints/tracker.ts';
import { selfSignedCertificate } from '../../../src/net/self-signed.ts';
import { readQuestion } from '../../../ingress/explain/question.ts';
import { StillIngress } from '../../../ingress/explain/still-ingress.ts';
import type { UnknownObject } from '../../../src/api/kinds/meta.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import type { Case, CaseGroup } from '../support/case-types.ts';

/** The routing cases that live traffic passes, asked as questions: explain must say what traffic does. */
const PROFILES = ['ingress-v1', 'ingress-legacy', 'nginx-annotations'];
const { groups } = JSON.parse(readFileSync(new URL('../../cases/ingress.json', import.meta.url), 'utf8')) as {
  groups: CaseGroup[];
};

/** Cases whose outcome a single question cannot have: many requests, chance, what a backend or an auth service does. */
function isQuestion(one: Case): boolean {
  const { request, expect: expected } = one;
  const many = [
    'count',
    'raw',
    'thenSend',
    'upstreamReply',
    'upstreamFault',
    'upstreamRaw',
    'authReply',
    'proxyProtocol',
  ];
  return (
    !many.some((key) => key in request) &&
    !one.id.startsWith('ngx-proxy-protocol/') &&
    expected.weights === undefined &&
    (expected.backend !== undefined || expected.status !== undefined || expected.location !== undefined)
  );
}

async function open(group: CaseGroup, strict: boolean): Promise<StillIngress> {
  const tracker = new Tracker({ log: silentLogger });
  const still = await StillIngress.open(
    {
      snapshots: tracker,
      clock: systemClock,
      log: silentLogger,
      random: () => 0.5,
      resolve: (name) => Promise.resolve({ addresses: [name], ttlSeconds: 60 }),
    },
    {
      ingressClass: 'edge',
      controllerName: 'cases.test/ingress',
      watchWithoutClass: false,
      applyDefaultClass: group.settings?.admission === true,
      strict,
      statusAddresses: [],
      settings: { useForwardedHeaders: group.settings?.trustForwardedHeaders === true },
    },
  );
  for (const object of await withCertificates(group.objects)) {
    tracker.upsert(object);
    still.upsert(object);
  }
  for (const kind of ['Service', 'Node', 'Namespace']) tracker.synced('v1', kind);
  tracker.synced('discovery.k8s.io/v1', 'EndpointSlice');
  tracker.flush();
  return still;
}

async function withCertificates(objects: readonly UnknownObject[]): Promise<UnknownObject[]> {
  return await Promise.all(
    objects.map(async (object) => {
      const names = object.metadata.annotations?.['cases.test/self-signed-for']?.split(',');
      if (!names) return object;
      const { cert, key } = await selfSignedCertificate(names[0]!, names, Date.now());
      return { ...object, stringData: { 'tls.crt': cert, 'tls.key': key } };
    }),
  );
}

it('asks a good part of the cases', () => {
  const asked = groups.filter(({ profile }) => PROFILES.includes(profile)).flatMap(({ cases }) => cases);
  expect(asked.filter((one) => isQuestion(one)).length).toBeGreaterThan(150);
});

describe.each(
  groups.filter(({ profile, cases }) => PROFILES.includes(profile) && cases.some((one) => isQuestion(one))),
)('$id', (group) => {
  const opened = new Map<boolean, Promise<StillIngress>>();
  const still = (strict: boolean): Promise<StillIngress> => {
    if (!opened.has(strict)) opened.set(strict, open(group, strict));
    return opened.get(strict)!;
  };
  it.each(group.cases.filter(isQuestion))('$id', async (one) => {
    const question = readQuestion(one.request);
    if (typeof question === 'string') throw new Error(question);
    const said = await (await still(one.level === 'quirk')).explain(question);
    const faults = (expected: Case['expect']): unknown[] => {
      const found: unknown[] = [];
      if (expected.backend !== undefined && expected.backend !== said.backend)
        found.push({ backend: said.backend, not: expected.backend });
      if (expected.backendIn !== undefined && !expected.backendIn.includes(said.backend))
        found.push({ backend: said.backend, not: expected.backendIn });
      if (expected.status !== undefined && said.backend === null && expected.status !== said.status)
        found.push({ status: said.status, not: expected.status });
      if (expected.pathSeenByBackend !== undefined && expected.pathSeenByBackend !== said.upstream?.target)
        found.push({ path: said.upstream?.target, not: expected.pathSeenByBackend });
      if (expected.certificateFor !== undefined && expected.certificateFor !== said.certificate)
        found.push({ certificate: said.certificate, not: expected.certificateFor });
      return found;
    };
    const found = faults(one.expect);
    if (found.length > 0 && one.alternative && faults(one.alternative).length === 0) return;
    expect(found, JSON.stringify(said.steps, undefined, 1)).toEqual([]);
    expect(said.steps.at(-1)?.topic).toBe('answer');
  });
});
