/** A row of the table of engines: weft beside a peer doing the same work, in one run. */
import { execFileSync } from 'node:child_process';
import { treeCpuSeconds } from '../processes.ts';
import { median } from '../quantiles.ts';

/** Of the lower of both saturations: load at which latency is looked at. */
const PACE_SHARE = 0.7;
/** Ours to the peer's, at most. */
const P99_RATIO_MAX = 1.2;
/** Where both lose more, their p99 are how long clients wait for nothing, and say nothing of either. */
const LOST_SHARE_MAX = 0.01;
export const SERVER_CORE = '0';
export const LOAD_CORE = '1';

export interface Contender {
  readonly name: string;
  /** Its descendants' time counts too. */
  readonly pid: number;
  readonly address: string;
  readonly port: number;
}

export interface Contest {
  readonly what: string;
  /** CPU per unit of work, ours to the peer's, at most. Infinity: for comparison, nothing is judged. */
  readonly ratioMax: number;
  readonly ours: Contender;
  readonly theirs: Contender;
  /** As much as goes; how much was done in how long. */
  saturate(of: Contender): Promise<{ readonly units: number; readonly seconds: number }>;
  /** At a fixed rate that waits for nobody; absent where the work has no requests. */
  pace?(of: Contender, unitsPerSecond: number): Promise<Paced>;
}

export interface Paced {
  readonly p99Ms: number;
  /** What part of the requests had no answer; their time is how long clients wait. */
  readonly lostShare: number;
}

export interface Outcome {
  readonly what: string;
  readonly peer: string;
  readonly ratioMax: number;
  readonly cpuMicroseconds: readonly [number, number];
  readonly unitsPerSecond: readonly [number, number];
  readonly paced: readonly [Paced, Paced] | undefined;
}

/** The value below which 99 % of the values lie. Sorts them. */
export function p99(values: Float64Array): number {
  return values.sort()[Math.ceil(values.length * 0.99) - 1] ?? Number.NaN;
}

export function pin(pid: number, cores: string): void {
  execFileSync('taskset', ['-a', '-p', '-c', cores, String(pid)], { stdio: 'ignore' });
}

/** Both in turns, round after round; medians. Once unmeasured: the compiler of V8 has to see it. */
export async function run(contest: Contest, rounds: number): Promise<Outcome> {
  const { what, ratioMax, ours, theirs } = contest;
  const both = [ours, theirs] as const;
  const cpu: [number[], number[]] = [[], []];
  const rate: [number[], number[]] = [[], []];
  for (const one of both) await contest.saturate(one);
  for (let round = 0; round < rounds; round++)
    for (const [i, one] of both.entries()) {
      const before = treeCpuSeconds(one.pid);
      const { units, seconds } = await contest.saturate(one);
      cpu[i]!.push(((treeCpuSeconds(one.pid) - before) / units) * 1e6);
      rate[i]!.push(units / seconds);
    }
  const unitsPerSecond = [median(rate[0]), median(rate[1])] as const;
  return {
    what,
    peer: theirs.name,
    ratioMax,
    cpuMicroseconds: [median(cpu[0]), median(cpu[1])],
    unitsPerSecond,
    paced: await paced(contest, rounds, PACE_SHARE * Math.min(...unitsPerSecond)),
  };
}

async function paced(contest: Contest, rounds: number, perSecond: number): Promise<Outcome['paced']> {
  if (!contest.pace) return undefined;
  const taken: [Paced[], Paced[]] = [[], []];
  for (let round = 0; round < rounds; round++)
    for (const [i, one] of [contest.ours, contest.theirs].entries())
      taken[i]!.push(await contest.pace(one, perSecond));
  return [middle(taken[0]), middle(taken[1])];
}

function middle(rounds: readonly Paced[]): Paced {
  const p99Ms = median(rounds.map((round) => round.p99Ms));
  return { p99Ms, lostShare: median(rounds.map(({ lostShare }) => lostShare)) };
}

/** A line of the table, and whether every limit held. */
export function judged(outcome: Outcome): { readonly line: string; readonly holds: boolean } {
  const { what, peer, ratioMax, cpuMicroseconds: cpu, paced } = outcome;
  const ratio = cpu[0] / cpu[1];
  const latency = paced ? latencyOf(paced) : { cells: ['', ''], holds: true };
  const holds = ratio <= ratioMax && latency.holds;
  const isJudged = Number.isFinite(ratioMax);
  const cells = [
    what,
    peer,
    pair(cpu, cpu[1] < 100 ? 2 : 0),
    isJudged ? `${ratio.toFixed(2)} (${ratioMax})` : ratio.toFixed(2),
    pair(outcome.unitsPerSecond, 0),
    ...latency.cells,
    isJudged ? (holds ? 'holds' : 'missed') : 'for comparison',
  ];
  return { line: `| ${cells.join(' | ')} |`, holds };
}

/** The cells of p99 and of its ratio. */
function latencyOf([ours, theirs]: readonly [Paced, Paced]) {
  const both = [ours, theirs];
  if (both.every(({ lostShare }) => lostShare > LOST_SHARE_MAX)) {
    const lost = both.map(({ lostShare }) => `${(lostShare * 100).toFixed(1)} %`);
    return { cells: [`lost ${lost.join(' : ')}`, 'not judged'], holds: true };
  }
  const ratio = ours.p99Ms / theirs.p99Ms;
  const lost = theirs.lostShare > 0 || ours.lostShare > 0;
  const shares = `, lost ${pair([ours.lostShare * 100, theirs.lostShare * 100], 1)} %`;
  const cells = [
    `${pair([ours.p99Ms, theirs.p99Ms], 2)}${lost ? shares : ''}`,
    `${ratio.toFixed(2)} (${P99_RATIO_MAX})`,
  ];
  return { cells, holds: ratio <= P99_RATIO_MAX };
}

function pair(values: readonly [number, number], digits: number): string {
  return values.map((value) => value.toFixed(digits)).join(' : ');
}

export const HEAD =
  '| what | peer | CPU us a unit, weft : peer | ratio (limit) | units a second | p99 ms at 70 % | ratio (limit) | |\n' +
  '| --- | --- | --- | --- | --- | --- | --- | --- |';
