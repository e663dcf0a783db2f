/** HTTP/1.1 through 1,000 rules beside nginx: h2load asks at once or at a fixed rate, wrk on a new connection each time. */
import { readFileSync } from 'node:fs';
import {
  otherRules,
  type Proxy,
  run as output,
  Stage,
  startBackend,
  startNginx,
  startWeft,
} from '../ingress/stage.ts';
import { type Contender, type Contest, LOAD_CORE, p99, type Paced, pin, SERVER_CORE } from './contest.ts';

interface Row {
  readonly what: string;
  readonly bodyBytes: number;
  readonly connections: number;
  readonly scheme: 'http' | 'https';
  readonly ratioMax: number;
}

const KEPT: readonly Row[] = [
  {
    what: 'HTTP/1.1, 100 B, 64 kept connections',
    bodyBytes: 100,
    connections: 64,
    scheme: 'http',
    ratioMax: 1,
  },
  { what: 'the same over TLS 1.3', bodyBytes: 100, connections: 64, scheme: 'https', ratioMax: 1 },
  { what: 'HTTP/1.1, 64 KB answers', bodyBytes: 65_536, connections: 64, scheme: 'http', ratioMax: 1.2 },
  { what: 'HTTP/1.1, 1 MB answers', bodyBytes: 1_048_576, connections: 16, scheme: 'http', ratioMax: 1.2 },
];
const NEW_CONNECTIONS = 32;
/**
 * Kept connections at a fixed rate begin one after the other. h2load sends on each in a rhythm that starts with its handshake: begun
 * together they would send together, and who ends handshakes together would be given larger bursts.
 */
const JOIN_EVERY_MS = 7;
/** After the last one has joined: what came with the handshakes is over. */
const SETTLE_MS = 100;
const NEW_RATIO_MAX = 1.3;
const TWO_WORKERS_RATIO_MAX = 1.1;
/** Beyond its time, for connecting and for the last answers. */
const H2LOAD_GRACE_SECONDS = 60;
const PATH = '/api/thing?x=1';

/** Calls back with each contest while its contenders run. */
export async function httpContests(
  seconds: number,
  fought: (contest: Contest) => Promise<void>,
): Promise<void> {
  for (const row of KEPT) {
    using stage = new Stage();
    await startBackend(stage, row.bodyBytes);
    const rules = otherRules(1_000);
    const [weft, nginx] = [await startWeft(stage, rules, [], 'native'), await startNginx(stage)];
    const load = kept(stage, row, seconds);
    const theirs = contender(nginx, row);
    for (const { pid } of [contender(weft, row), theirs]) pin(pid, SERVER_CORE);
    for (const pid of nginx.pids()) pin(pid, SERVER_CORE);
    const { what, ratioMax } = row;
    await fought({ what, ratioMax, ours: contender(weft, row), theirs, ...load });
    if (row !== KEPT[0]) continue;
    await fought({
      what: 'HTTP/1.1, a connection for each request',
      ratioMax: NEW_RATIO_MAX,
      ours: contender(weft, row),
      theirs,
      saturate: (of) => saturateNew(of, seconds),
      pace: (of, rate) => paceNew(stage, of, rate, seconds),
    });
    const two = contender(await startWeft(stage, rules, [], 'native', 2), row);
    await fought({
      what: 'HTTP/1.1, two workers on two cores',
      ratioMax: TWO_WORKERS_RATIO_MAX,
      ours: { ...two, name: 'weft, 2 workers' },
      theirs: { ...contender(weft, row), name: 'weft, 1 worker' },
      saturate: load.saturate,
    });
  }
}

function contender(proxy: Proxy, { scheme }: Row): Contender {
  const { name, address } = proxy;
  return { name, pid: proxy.pids()[0] ?? 0, address, port: proxy[scheme] };
}

/** The same number of requests as it did unmeasured in so many seconds: h2load counts requests. */
function kept(
  stage: Stage,
  row: Row,
  seconds: number,
): Pick<Contest, 'saturate'> & Required<Pick<Contest, 'pace'>> {
  const bounded = ['timeout', '--signal=KILL', `${seconds + H2LOAD_GRACE_SECONDS}`, 'h2load'];
  const h2load = (of: Contender, flags: readonly string[]): Promise<string> => {
    const to = `--connect-to=${of.address}:${of.port}`;
    const fixed = ['-c', LOAD_CORE, ...bounded, '--h1', to, '-t1', `-c${row.connections}`];
    const url = `${row.scheme}://bench.test:${of.port}${PATH}`;
    return output('taskset', [...fixed, ...flags, url]);
  };
  const joinMs = row.connections * JOIN_EVERY_MS;
  return {
    saturate: async (of) => {
      const out = await twice(of, () => h2load(of, [`--duration=${seconds}`]));
      const [, units, failed] = /status codes: (\d+) 2xx, \d+ 3xx, (\d+) 4xx/.exec(out) ?? [];
      if (failed !== '0' || units === '0') throw new Error(`${of.name}: ${out}`);
      return { units: Number(units), seconds };
    },
    pace: async (of, rate) => {
      const count = Math.round(rate * (seconds + joinMs / 1_000));
      const joining = ['-r1', `--rate-period=${JOIN_EVERY_MS}ms`];
      const flags = [`--rps=${rate / row.connections}`, `-n${count}`, ...joining];
      return await twice(of, async () => {
        const log = stage.output(); // h2load appends
        await h2load(of, [...flags, `--log-file=${log}`]);
        return loggedP99(log, joinMs + SETTLE_MS);
      });
    },
  };
}

/** h2load has been seen to go on with one client for ever after its last answer: one that had to be killed is run once more. */
async function twice<T>({ name }: Contender, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    // timeout(1) ends by the signal it sent
    if ((error as { readonly signal?: unknown }).signal !== 'SIGKILL') throw error;
    process.stderr.write(`h2load had to be killed after it asked ${name}, and is run once more\n`);
    return await load();
  }
}

/** Milliseconds, without what was sent in the first `fromMs`. A line of h2load's log: when, status, how long, in microseconds. */
function loggedP99(log: string, fromMs: number): Paced {
  const lines = readFileSync(log, 'utf8').trim().split('\n');
  const sent = lines.map((line) => line.split('\t').map(Number));
  const begin = sent.reduce((first, [at = 0]) => Math.min(first, at), Infinity) + fromMs * 1_000;
  const counted = sent.filter(([at = 0]) => at >= begin);
  return { p99Ms: p99(Float64Array.from(counted, ([, , took = 0]) => took / 1_000)), lostShare: 0 };
}

/** So many connections every 10 ms, a request on each; its time runs from when the kernel has the connection. */
async function paceNew(
  stage: Stage,
  { address, port }: Contender,
  rate: number,
  seconds: number,
): Promise<Paced> {
  const log = stage.output();
  const count = Math.round(rate * seconds);
  const to = `--connect-to=${address}:${port}`;
  const rhythm = [`-c${count}`, `-n${count}`, `-r${Math.round(rate / 100)}`, '--rate-period=10ms'];
  const args = ['-c', LOAD_CORE, 'h2load', '--h1', to, '-t1', ...rhythm, `--log-file=${log}`];
  await output('taskset', [...args, `http://bench.test:${port}${PATH}`]);
  return loggedP99(log, 0);
}

async function saturateNew({ name, address, port }: Contender, seconds: number) {
  const fields = ['-H', 'Host: bench.test', '-H', 'Connection: close'];
  const url = `http://${address}:${port}${PATH}`;
  const args = ['-c', LOAD_CORE, 'wrk', '-t1', `-c${NEW_CONNECTIONS}`, `-d${seconds}s`, ...fields, url];
  const out = await output('taskset', args);
  if (/Non-2xx/.test(out)) throw new Error(`${name}: ${out}`);
  return { units: Number(/(\d+) requests in/.exec(out)?.[1]), seconds };
}
