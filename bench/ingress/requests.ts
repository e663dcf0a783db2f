/**
 * CPU per request of \`weft ingress\` beside nginx and haproxy, in one run: small GETs on kept HTTP/1.1 connections
 * and over HTTP/2 (TLS), with routing by host and path and the X-Forwarded fields.
 * Run: node bench/ingress/requests.ts [seconds] [connections]. Fails over 2.2 times nginx (HTTP/1.1).
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

const RATIO_LIMIT = 2.2;
const seconds = Number(process.argv[2] ?? 5);
const connections = Number(process.argv[3] ?? 64);

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
  const results: Record<string, number> = {};
  for (const proxy of proxies) {
    await load(proxy); // once unmeasured: the compiler of V8 has to see it
    const { microseconds, units } = await perUnit(proxy, () => load(proxy));
    results[proxy.name] = microseconds;
    const perSecond = Math.round(units / seconds);
    process.stdout.write(`${kind} ${proxy.name}: ${microseconds} us CPU a request, ${perSecond} a second\n`);
  }
  const ratio = results['weft']! / results['nginx']!;
  process.stdout.write(
    `${kind} weft/nginx ${ratio.toFixed(2)}, weft/haproxy ${(results['weft']! / results['haproxy']!).toFixed(2)}\n`,
  );
  if (kind === 'http/1.1' && ratio > RATIO_LIMIT) process.exitCode = 1;
}
