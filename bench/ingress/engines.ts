/**
 * CPU per request of both engines of HTTP/1.1 beside nginx, in one run: 1,000 rules, X-Forwarded fields, metrics on. Small,
 * 64 KB and 1 MB answers on kept connections, small ones over TLS (ECDSA P-256, TLS 1.3), and a connection for each request. Each server has core 0, everything else core 1.
 * Run: node bench/ingress/engines.ts [requests] [rounds] [rows whose name has this]. Fails where the native engine costs more than the limit beside a row.
 */
import { execFileSync } from 'node:child_process';
import {
  annotatedRules,
  otherRules,
  perUnit,
  type Proxy,
  run,
  Stage,
  startBackend,
  startNginx,
  startWeft,
} from './stage.ts';
import { median } from '../quantiles.ts';

const requests = Number(process.argv[2] ?? 60_000);
const rounds = Number(process.argv[3] ?? 5);
const only = process.argv[4] ?? '';
const SERVER_CORE = '0';
const LOAD_CORE = '1';

interface Row {
  readonly name: string;
  readonly bodyBytes: number;
  /** Share of `requests`. */
  readonly share: number;
  readonly close: boolean;
  readonly secure?: boolean;
  readonly connections: number;
  /** HTTP/2: the portable engine's, after the native one has looked at the ClientHello. */
  readonly http2?: boolean;
  /** The path of `annotatedRules` that is asked for. */
  readonly path?: string;
  /** Native engine to nginx. */
  readonly ratioMax: number;
}

const ROWS: readonly Row[] = [
  { name: '100 B, kept', bodyBytes: 100, share: 1, close: false, connections: 64, ratioMax: 1 },
  {
    name: '100 B, kept, TLS',
    bodyBytes: 100,
    share: 1,
    close: false,
    secure: true,
    connections: 64,
    ratioMax: 1,
  },
  { name: '64 KB, kept', bodyBytes: 65_536, share: 0.2, close: false, connections: 64, ratioMax: 1.2 },
  { name: '1 MB, kept', bodyBytes: 1_048_576, share: 0.02, close: false, connections: 16, ratioMax: 1.2 },
  {
    name: '100 B, a connection each',
    bodyBytes: 100,
    share: 0.3,
    close: true,
    connections: 32,
    ratioMax: 1.3,
  },
  // nginx does less here: it relays as before
  {
    name: 'CORS and rewriting',
    path: '/composed',
    bodyBytes: 100,
    share: 0.5,
    close: false,
    connections: 64,
    ratioMax: 2,
  },
  {
    name: 'CORS and rewriting, TLS',
    path: '/composed',
    bodyBytes: 100,
    share: 0.5,
    close: false,
    secure: true,
    connections: 64,
    ratioMax: 2,
  },
  {
    name: 'handed over',
    path: '/handed',
    bodyBytes: 100,
    share: 0.5,
    close: false,
    connections: 64,
    ratioMax: 5,
  },
  {
    name: 'handed over, TLS',
    path: '/handed',
    bodyBytes: 100,
    share: 0.5,
    close: false,
    secure: true,
    connections: 64,
    ratioMax: 5,
  },
  {
    name: 'HTTP/2',
    http2: true,
    bodyBytes: 100,
    share: 0.5,
    close: false,
    secure: true,
    connections: 8,
    ratioMax: 5,
  },
];

/** h2load counts requests: every proxy is given the same number. */
async function load(
  proxy: Proxy,
  { share, close, secure, connections, http2, path = '/api/thing?x=1' }: Row,
): Promise<number> {
  const count = Math.round(requests * share);
  if (close) return await loadClosing(proxy, count, connections);
  const port = secure ? proxy.https : proxy.http;
  const url = `${secure ? 'https' : 'http'}://bench.test:${port}${path}`;
  const to = `--connect-to=${proxy.address}:${port}`;
  const args = [
    '-c',
    LOAD_CORE,
    'h2load',
    ...(http2 ? ['-m8'] : ['--h1']),
    to,
    '-t1',
    `-c${connections}`,
    `-n${count}`,
    url,
  ];
  const out = await run('taskset', args);
  const [, total, failed] = /status codes: (\d+) 2xx, \d+ 3xx, (\d+) 4xx/.exec(out) ?? [];
  if (failed !== '0' || Number(total) !== count) throw new Error(`${proxy.name}: ${out}`);
  return count;
}

async function loadClosing(proxy: Proxy, count: number, connections: number): Promise<number> {
  const seconds = Math.max(1, Math.round(count / 6_000));
  const url = `http://${proxy.address}:${proxy.http}/api/thing?x=1`;
  const fields = ['-H', 'Host: bench.test', '-H', 'Connection: close'];
  const out = await run('taskset', [
    '-c',
    LOAD_CORE,
    'wrk',
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    ...fields,
    url,
  ]);
  if (/Non-2xx/.test(out)) throw new Error(`${proxy.name}: ${out}`);
  return Number(/(\d+) requests in/.exec(out)?.[1]);
}

function pin(proxy: Proxy): void {
  for (const pid of proxy.pids())
    execFileSync('taskset', ['-a', '-p', '-c', SERVER_CORE, String(pid)], { stdio: 'ignore' });
}

for (const row of ROWS.filter(({ name }) => name.includes(only))) {
  using stage = new Stage();
  await startBackend(stage, row.bodyBytes);
  const rules = [...otherRules(1_000), ...annotatedRules()];
  const proxies = [
    await startWeft(stage, rules, [], 'native'),
    await startWeft(stage, rules),
    await startNginx(stage),
  ];
  proxies.forEach(pin);
  const costs = new Map<Proxy, number[]>(proxies.map((proxy) => [proxy, []]));
  for (const proxy of proxies) await load(proxy, row); // unmeasured: the compiler of V8 has to see it
  for (let round = 0; round < rounds; round++)
    for (const proxy of proxies)
      costs.get(proxy)!.push((await perUnit(proxy, () => load(proxy, row))).microseconds);
  const [native, portable, nginx] = proxies.map((proxy) => median(costs.get(proxy)!)) as [
    number,
    number,
    number,
  ];
  const ratio = native / nginx;
  process.stdout.write(
    `${row.name}: native ${native} us, portable ${portable} us, nginx ${nginx} us; ` +
      `native/nginx ${ratio.toFixed(2)} (limit ${row.ratioMax}), portable/nginx ${(portable / nginx).toFixed(2)}\n`,
  );
  if (ratio > row.ratioMax) process.exitCode = 1;
}
