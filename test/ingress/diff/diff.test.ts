import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Tracker } from '../../../endpoints/tracker.ts';
import { diffTables, type RouteChange } from '../../../ingress/diff/diff-tables.ts';
import { fateOf, generalFate } from '../../../ingress/diff/fate.ts';
import { regexExamples } from '../../../ingress/diff/regex-examples.ts';
import { readQuestion, type Question } from '../../../ingress/explain/question.ts';
import { StillIngress } from '../../../ingress/explain/still-ingress.ts';
import { compileUserRegex, regexMatches } from '../../../ingress/compile/user-regex.ts';
import type { Ingress } from '../../../src/api/kinds/ingress.ts';
import type { UnknownObject } from '../../../src/api/kinds/meta.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';

const PREFIX = 'nginx.ingress.kubernetes.io/';
const HOSTS = ['a.test', 'b.test', '*.a.test', 'x.a.test', ''] as const;
const PATHS = ['/', '/a', '/a/', '/a/b', '/A', '/ab'] as const;
const PATTERNS = ['/v[0-9]+/x', '/a/(.*)', '/(c|d)/e'] as const;
const SERVICES = ['red', 'blue', 'green'] as const;

interface Rule {
  readonly host: (typeof HOSTS)[number];
  readonly path: string;
  readonly pathType: 'Exact' | 'Prefix' | 'ImplementationSpecific';
  readonly service: (typeof SERVICES)[number];
  readonly annotations: Readonly<Record<string, string>>;
  readonly tls: boolean;
}

const annotations = fc.oneof(
  { weight: 6, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: fc.constant({ 'app-root': '/home' }) },
  { weight: 1, arbitrary: fc.constant({ 'permanent-redirect': 'https://else.test/' }) },
  fc.constantFrom<Record<string, string>>(
    { canary: 'true', 'canary-by-header': 'X-Try' },
    { canary: 'true', 'canary-by-header': 'X-Try', 'canary-by-header-value': 'yes' },
    { canary: 'true', 'canary-by-header': 'X-Other', 'canary-by-header-pattern': '^v[12]$' },
    { canary: 'true', 'canary-by-cookie': 'try' },
    { canary: 'true', 'canary-weight': '30' },
  ),
);

const rule: fc.Arbitrary<Rule> = fc.oneof(
  fc.record({
    host: fc.constantFrom(...HOSTS),
    path: fc.constantFrom(...PATHS),
    pathType: fc.constantFrom('Exact' as const, 'Prefix' as const),
    service: fc.constantFrom(...SERVICES),
    annotations,
    tls: fc.boolean(),
  }),
  fc.record({
    host: fc.constantFrom(...HOSTS),
    path: fc.constantFrom(...PATTERNS),
    pathType: fc.constant('ImplementationSpecific' as const),
    service: fc.constantFrom(...SERVICES),
    annotations: fc.constant({ 'use-regex': 'true' }),
    tls: fc.boolean(),
  }),
);

function ingressOf(given: Rule, index: number): Ingress {
  const backend = { service: { name: given.service, port: { number: 80 } } };
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: {
      name: `i${index}`,
      namespace: 'default',
      annotations: Object.fromEntries(
        Object.entries(given.annotations).map(([name, value]) => [PREFIX + name, value]),
      ),
    },
    spec: {
      ...(given.tls && given.host !== '' && { tls: [{ hosts: [given.host], secretName: 'none' }] }),
      rules: [
        {
          ...(given.host !== '' && { host: given.host }),
          http: { paths: [{ path: given.path, pathType: given.pathType, backend }] },
        },
      ],
    },
  };
}

/** A service with one endpoint: a canary without any would not be asked. */
function serviceObjects(name: string): UnknownObject[] {
  const metadata = { name, namespace: 'default' };
  const labels = { 'kubernetes.io/service-name': name };
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { ports: [{ name: 'http', port: 80, protocol: 'TCP' }] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, labels },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints: [{ addresses: ['192.0.2.1'], conditions: { ready: true } }],
    },
  ];
}

/** The ingress of these rules; `chance` is what its dice show. */
async function openSide(rules: readonly Rule[], chance: { value: number }): Promise<StillIngress> {
  const tracker = new Tracker({ log: silentLogger });
  for (const service of SERVICES) for (const object of serviceObjects(service)) tracker.upsert(object);
  tracker.flush();
  const still = await StillIngress.open(
    {
      snapshots: tracker,
      clock: systemClock,
      log: silentLogger,
      random: () => chance.value,
      resolve: () => Promise.reject(new Error('no names here')),
    },
    {
      ingressClass: 'x',
      controllerName: 'x',
      watchWithoutClass: true,
      applyDefaultClass: false,
      strict: false,
      statusAddresses: [],
    },
  );
  rules.forEach((each, index) => still.upsert(ingressOf(each, index)));
  return still;
}

const CHANCES = Array.from({ length: 20 }, (_, n) => (n + 0.5) / 20);

/** What traffic gets, whatever the dice show: explain runs the code of the data path. */
async function outcomes(
  still: StillIngress,
  question: Question,
  chance: { value: number },
): Promise<string[]> {
  const found: string[] = [];
  for (const value of CHANCES) {
    chance.value = value;
    const { backend, status, location } = await still.explain(question);
    found.push(backend ?? `${status} ${location ?? ''}`);
  }
  return found;
}

const question = (url: string, headers: Readonly<Record<string, string>> = {}): Question => {
  const read = readQuestion({ url, headers });
  if (typeof read === 'string') throw new Error(read);
  return read;
};

const sides = fc.tuple(fc.array(rule, { maxLength: 6 }), fc.array(rule, { maxLength: 6 }));
const sample = fc.record({
  scheme: fc.constantFrom('http', 'https'),
  host: fc.constantFrom('a.test', 'b.test', 'x.a.test', 'y.a.test', 'z.y.a.test', 'nobody.test'),
  path: fc.constantFrom(...PATHS, '/a/b/c', '/v1/x', '/v12/xyz', '/c/e', '/D/E/f', '/zz', '/a/q', '/abc'),
  header: fc.constantFrom<Record<string, string>>(
    {},
    { 'X-Try': 'always' },
    { 'X-Try': 'yes' },
    { 'X-Try': 'what' },
    { 'X-Other': 'v1' },
    { cookie: 'try=always' },
  ),
});

describe('diff of two sets of objects', () => {
  it('names only witnesses that are routed another way', async () => {
    await fc.assert(
      fc.asyncProperty(sides, async ([before, after]) => {
        const chance = { value: 0 };
        using a = await openSide(before, chance);
        using b = await openSide(after, chance);
        for (const { witness } of diffTables(a.apply(), b.apply())) {
          const asked = question(witness.url, witness.headers);
          expect(await outcomes(a, asked, chance)).not.toEqual(await outcomes(b, asked, chance));
        }
      }),
      { numRuns: 40 },
    );
  });

  it('misses no difference of sampled requests', async () => {
    await fc.assert(
      fc.asyncProperty(
        sides,
        fc.array(sample, { minLength: 10, maxLength: 30 }),
        async ([before, after], asked) => {
          const chance = { value: 0.5 };
          using a = await openSide(before, chance);
          using b = await openSide(after, chance);
          const [left, right] = [a.apply(), b.apply()];
          const changes = diffTables(left, right);
          for (const { scheme, host, path, header } of asked) {
            const one = question(`${scheme}://${host}${path}`, header);
            const [from, to] = [fateOf(left, one), fateOf(right, one)];
            if (from === to) continue;
            const told = (change: RouteChange): boolean =>
              change.from === generalFate(from, host, path) && change.to === generalFate(to, host, path);
            expect(
              changes.some(told),
              `${scheme}://${host}${path} ${JSON.stringify(header)}: ${from} -> ${to}`,
            ).toBe(true);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('finds nothing between equal sides', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(rule, { maxLength: 8 }), async (rules) => {
        using a = await openSide(rules, { value: 0.5 });
        using b = await openSide(rules, { value: 0.5 });
        expect(diffTables(a.apply(), b.apply())).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });

  it('says who answered before and after, and shows a request', async () => {
    const main: Rule = {
      host: 'a.test',
      path: '/',
      pathType: 'Prefix',
      service: 'red',
      annotations: {},
      tls: false,
    };
    const canary = {
      ...main,
      service: 'blue' as const,
      annotations: { canary: 'true', 'canary-by-header': 'X-Try' },
    };
    using a = await openSide([main], { value: 0.5 });
    using b = await openSide([main, canary, { ...main, path: '/new', service: 'green' }], { value: 0.5 });
    expect(diffTables(a.apply(), b.apply())).toEqual([
      {
        host: 'a.test',
        paths: ['exactly /new', '/new/', 'below /new'],
        headers: [],
        scheme: 'any',
        from: 'default/red:80',
        to: 'default/green:80',
        witness: { url: 'http://a.test/new', headers: {} },
      },
      {
        host: 'a.test',
        paths: ['exactly /', 'any other path', '/new...'],
        headers: ['x-try: always'],
        scheme: 'any',
        from: 'default/red:80',
        to: 'default/blue:80',
        witness: { url: 'http://a.test/', headers: { 'x-try': 'always' } },
      },
    ]);
  });
});

describe('examples of patterns', () => {
  it.each([
    '/v[0-9]+/x',
    '/(a|b)/c?',
    '/api(/|$)(.*)',
    '/[^/]+/\\d{2}',
    '/(?P<n>x|y)z*',
    '/a.b\\.c',
    '^v[12]$',
  ])('%s', (source) => {
    const compiled = compileUserRegex(source, { ignoreCase: true, anchored: true });
    if ('reason' in compiled) throw new Error(compiled.reason);
    expect(regexExamples(source).some((text) => regexMatches(compiled, text))).toBe(true);
  });

  it('never fails, whatever the pattern', () => {
    fc.assert(fc.property(fc.string({ maxLength: 60 }), (source) => regexExamples(source).length <= 24));
  });
});
