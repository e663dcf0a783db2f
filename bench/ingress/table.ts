/**
 * 10,000 Ingress rules: the time to match a request (limit 1 us) and to take one changed Ingress into the table
 * (limit 5 ms, median), its certificate included. Run: node bench/ingress/table.ts [rules of one host]
 */
import { Tracker } from '../../endpoints/tracker.ts';
import { StillIngress } from '../../ingress/explain/still-ingress.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';

const RULES = 10_000;
const PATHS_PER_HOST = Number(process.argv[2] ?? 10);
const MATCHES = 1_000_000;
const CHANGES = 200;
const MATCH_LIMIT_US = 1;
const CHANGE_LIMIT_MS = 5;

function ingress(host: number, service: string): object {
  const paths = Array.from({ length: PATHS_PER_HOST }, (_, n) => ({
    path: n === 0 ? '/' : `/part-${n}/of/app`,
    pathType: n % 3 === 1 ? 'Exact' : 'Prefix',
    backend: { service: { name: `${service}-${n}`, port: { number: 80 } } },
  }));
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { namespace: 'default', name: `app-${host}`, creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: {
      tls: [{ hosts: [`app-${host}.bench.test`], secretName: `${service}-${host}` }],
      rules: [{ host: `app-${host}.bench.test`, http: { paths } }],
    },
  };
}

const still = await StillIngress.open(
  {
    snapshots: new Tracker({ log: silentLogger }),
    clock: systemClock,
    log: silentLogger,
    random: Math.random,
    resolve: () => Promise.reject(new Error('no names')),
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
/** CPU time so far, in milliseconds: other programs of the machine do not count. */
const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

type Taken = Parameters<typeof still.upsert>[0];
const hosts = RULES / PATHS_PER_HOST;
const started = cpuMs();
for (let host = 0; host < hosts; host++) still.upsert(ingress(host, 'web') as Taken);
let { table } = still.apply();
process.stdout.write(`${RULES} rules on ${hosts} hosts compiled in ${(cpuMs() - started).toFixed(0)} ms\n`);

const asked = Array.from({ length: 1024 }, (_, n) => ({
  host: `app-${(n * 7919) % hosts}.bench.test`,
  target: `/part-${n % Math.min(10, PATHS_PER_HOST)}/of/app${n % 2 === 0 ? '' : '/below?x=1'}`,
}));
let found = 0;
const match = (count: number): number => {
  const before = cpuMs();
  for (let n = 0; n < count; n++) {
    const { host, target } = asked[n & 1023]!;
    if (table.match(host, target).kind === 'route') found++;
  }
  return ((cpuMs() - before) * 1000) / count;
};
match(MATCHES / 10);
const matchUs = match(MATCHES);
process.stdout.write(`match: ${matchUs.toFixed(3)} us (${found} found), limit ${MATCH_LIMIT_US} us\n`);

const times: number[] = [];
for (let n = 0; n < CHANGES; n++) {
  still.upsert(ingress((n * 13) % hosts, `other-${n}`) as Taken);
  const before = cpuMs();
  ({ table } = still.apply());
  times.push(cpuMs() - before);
}
times.sort((a, b) => a - b);
const median = times[CHANGES >> 1]!;
process.stdout.write(
  `one changed Ingress: median ${median.toFixed(2)} ms, worst ${times.at(-1)!.toFixed(2)} ms, limit ${CHANGE_LIMIT_MS} ms\n`,
);
if (matchUs > MATCH_LIMIT_US || median > CHANGE_LIMIT_MS) process.exitCode = 1;
