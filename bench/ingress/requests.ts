/**
 * CPU per request of \`weft ingress\` beside nginx and haproxy, in one run: small GETs on kept HTTP/1.1 connections
 * and over HTTP/2 (TLS), with routing by host and path and the X-Forwarded fields. In turns; medians of all rounds.
 * Run: node bench/ingress/requests.ts [seconds] [connections] [rounds]. Fails over 2.2 times nginx (HTTP/1.1).
 */
import {
  perUnit,
  type Proxy,
  run,
  Stage,
  startBackend,
  startHaproxy,
  startNginx,
  startWeft,
} from './stage.ts';
import { median } from '../quantiles.ts';

const RATIO_LIMIT = 2.2;
const seconds = Number(process.argv[2] ?? 2);
const connections = Number(process.argv[3] ?? 64);
const rounds = Number(process.argv[4] ?? 5);

async function http1(proxy: Proxy): Promise<number> {
  const url = `http://${proxy.address}:${proxy.http}/api/thing?x=1`;
  const out = await run('wrk', ['-t1', `-c${connections}`, `-d${seconds}s`, '-H', 'Host: bench.test', url]);
  if (/Non-2xx|Socket errors/.test(out)) throw new Error(`${proxy.name}: ${out}`);
  return Number(/(\d+) requests in/.exec(out)?.[1]);
}

async function http2(proxy: Proxy): Promise<number> {
  const url = `https://bench.test:${proxy.https}/api/thing?x=1`;
  const args = [`--connect-to=${proxy.address}:${proxy.https}`, '-t1', '-c8', '-m8', `-D${seconds}`, url];
  const out = await run('h2load', args);
  const [, total, failed] = /status codes: (\d+) 2xx, \d+ 3xx, (\d+) 4xx/.exec(out) ?? [];
  if (failed !== '0') throw new Error(`${proxy.name}: ${out}`);
  return Number(total);
}

using stage = new Stage();
await startBackend(stage, 128);
const proxies = [await startWeft(stage), await startNginx(stage), await startHaproxy(stage)];
for (const [kind, load] of [
  ['http/1.1', http1],
  ['h2', http2],
] as const) {
  // once unmeasured: the compiler of V8 has to see it
  for (const proxy of proxies) await load(proxy);
  const costs = new Map<string, number[]>(proxies.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++)
    for (const proxy of proxies)
      costs.get(proxy.name)!.push((await perUnit(proxy, () => load(proxy))).microseconds);
  for (const [name, values] of costs)
    process.stdout.write(`${kind} ${name}: ${median(values)} us CPU a request\n`);
  const to = (other: string): number => median(costs.get('weft')!) / median(costs.get(other)!);
  process.stdout.write(
    `${kind} weft/nginx ${to('nginx').toFixed(2)}, weft/haproxy ${to('haproxy').toFixed(2)}\n`,
  );
  if (kind === 'http/1.1' && to('nginx') > RATIO_LIMIT) process.exitCode = 1;
}
