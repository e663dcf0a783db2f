/** DNS over UDP beside NSD and Knot: dnsperf asks, at once or at a fixed rate. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { nsdServers, peers } from '../dns/peers.ts';
import type { Questions } from '../dns/rig.ts';
import { type Contender, type Contest, LOAD_CORE, p99, type Paced } from './contest.ts';
import { DnsStage, HOST } from './dns-stage.ts';

const RATIO_MAX: Readonly<Record<string, number>> = { nsd: 1, knotd: 0.9, coredns: 0.25 };
const SERVICES = 10_000;
const MIXED_SERVICES = 100_000;
const MIXED_RATIO_MAX = 1.2;
const TWO_RECEIVERS_RATIO_MAX = 1.1;
/** Sockets of the clients. */
const CLIENTS = 4;
/** The kernel spreads sockets over receivers by chance: so many come out about even. */
const CLIENTS_OF_TWO = 32;
/** How long a client waits for an answer over UDP: stub resolvers ask again after this (resolv.conf(5)). */
const PATIENCE_SECONDS = 5;
/** Of the client's sockets: it shall lose nothing. */
const CLIENT_BUFFER_KB = 4_096;

type Fought = (contest: Contest) => Promise<void>;

/** Calls back with each contest while its contenders run. */
export async function dnsContests(seconds: number, fought: Fought): Promise<void> {
  {
    using stage = new DnsStage(SERVICES);
    const ours = await stage.weft(1);
    const theirs = await besidePeers(stage, ours, 'A', seconds, fought);
    const nsd = theirs.find(({ name }) => name === 'nsd');
    await onTwoCores(stage, { weft: ours, nsd }, seconds, fought);
  }
  using stage = new DnsStage(MIXED_SERVICES);
  await besidePeers(stage, await stage.weft(1), 'mixed', seconds, fought);
}

/** Those that were there. */
async function besidePeers(
  stage: DnsStage,
  ours: Contender,
  kind: Questions,
  seconds: number,
  fought: Fought,
): Promise<readonly Contender[]> {
  const flags = ['-d', stage.questions(kind), '-e', '-c', String(CLIENTS)];
  const all: Contender[] = [];
  for (const peer of peers()) {
    if (kind === 'mixed' && peer.name !== 'nsd') continue;
    const theirs = await stage.peer(peer);
    all.push(theirs);
    await fought({
      what: `DNS UDP, ${stage.services.toLocaleString('en')} services, ${kind}`,
      ratioMax: kind === 'mixed' ? MIXED_RATIO_MAX : (RATIO_MAX[theirs.name] ?? 1),
      ours,
      theirs,
      saturate: (of) => saturate(of, seconds, flags),
      pace: (of, rate) => pace(of, rate, seconds, flags),
    });
  }
  return all;
}

/** The clients need a core as well: of two receivers one shares it with them, so NSD is looked at in the same place. */
async function onTwoCores(
  stage: DnsStage,
  one: { readonly weft: Contender; readonly nsd: Contender | undefined },
  seconds: number,
  fought: Fought,
): Promise<void> {
  const flags = ['-d', stage.questions('A'), '-e', '-c', String(CLIENTS_OF_TWO)];
  const fight = (what: string, ratioMax: number, ours: Contender, theirs: Contender): Promise<void> =>
    fought({ what, ratioMax, ours, theirs, saturate: (of) => saturate(of, seconds, flags) });
  const weft = await stage.weft(2);
  await fight('DNS UDP, two receivers on two cores', TWO_RECEIVERS_RATIO_MAX, weft, one.weft);
  const peer = nsdServers(2);
  if (!peer || !one.nsd) return;
  const nsd = await stage.peer(peer);
  await fight('the same', 1, weft, nsd);
  await fight('NSD with two servers beside one', Infinity, nsd, one.nsd);
}

async function dnsperf({ port }: Contender, seconds: number, flags: readonly string[]): Promise<string> {
  const args = ['-s', HOST, '-p', port, '-l', seconds, '-W'].map(String);
  const all = ['-c', LOAD_CORE, 'dnsperf', ...args, ...flags];
  const { stdout } = await promisify(execFile)('taskset', all, { maxBuffer: 1 << 28 });
  return stdout;
}

async function saturate(of: Contender, seconds: number, flags: readonly string[]) {
  const out = await dnsperf(of, seconds, [...flags, '-q', '100']);
  return { units: Number(/Queries completed:\s+(\d+)/.exec(out)?.[1]), seconds };
}

/**
 * With -v each answer is a line that ends with the seconds it took. A question that a server drops counts as long as its client waits:
 * dnsperf makes up for what it is late with in bursts, and who has a small socket buffer would be judged by what fits it.
 */
async function pace(of: Contender, rate: number, seconds: number, flags: readonly string[]): Promise<Paced> {
  const paced = ['-q', '10000', '-Q', String(Math.round(rate)), '-b', String(CLIENT_BUFFER_KB)];
  const out = await dnsperf(of, seconds, [...flags, ...paced, '-t', String(PATIENCE_SECONDS), '-v']);
  const times = [...out.matchAll(/^> .* (\d+\.\d+)$/gm)].map(([, text]) => Number(text) * 1_000);
  if (times.length === 0) throw new Error(`${of.name} answered nothing:\n${out.slice(0, 1_000)}`);
  const lost = Number(/Queries lost:\s+(\d+)/.exec(out)?.[1] ?? 0);
  for (let i = 0; i < lost; i++) times.push(PATIENCE_SECONDS * 1_000);
  return { p99Ms: p99(Float64Array.from(times)), lostShare: lost / times.length };
}
