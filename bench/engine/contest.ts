/** A row of the table of engines: weft beside a peer doing the same work, in one run. */
import { execFileSync } from 'node:child_process';
import { treeCpuSeconds } from '../processes.ts';
import { median } from '../quantiles.ts';

/** Of the lower of both saturations: load at which latency is looked at. */
const PACE_SHARE = 0.7;
/** Ours to the peer's, at most. */
const P99_RATIO_MAX = 1.2;
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
  /** CPU per unit of work, ours to the peer's, at most. */
  readonly ratioMax: number;
  readonly ours: Contender;
  readonly theirs: Contender;
  /** As much as goes; how much was done in how long. */
  saturate(of: Contender): Promise<{ readonly units: number; readonly seconds: number }>;
  /** p99 in milliseconds at a fixed rate that waits for nobody; absent where the work has no requests. */
  pace?(of: Contender, unitsPerSecond: number): Promise<number>;
}

export interface Outcome {
  readonly what: string;
  readonly peer: string;
  readonly ratioMax: number;
  readonly cpuMicroseconds: readonly [number, number];
  readonly unitsPerSecond: readonly [number, number];
  readonly p99Ms: readonly [number, number] | undefined;
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
    p99Ms: await paced(contest, rounds, PACE_SHARE * Math.min(...unitsPerSecond)),
  };
}

async function paced(contest: Contest, rounds: number, perSecond: number): Promise<Outcome['p99Ms']> {
  if (!contest.pace) return undefined;
  const taken: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++)
    for (const [i, one] of [contest.ours, contest.theirs].entries())
      taken[i]!.push(await contest.pace(one, perSecond));
  return [median(taken[0]), median(taken[1])];
}

/** A line of the table, and whether every limit held. */
export function judged(outcome: Outcome): { readonly line: string; readonly holds: boolean } {
  const { what, peer, ratioMax, cpuMicroseconds: cpu, p99Ms } = outcome;
  const ratio = cpu[0] / cpu[1];
  const latency = p99Ms && p99Ms[0] / p99Ms[1];
  const holds = ratio <= ratioMax && (latency === undefined || latency <= P99_RATIO_MAX);
  const pair = (values: readonly [number, number], digits: number): string =>
    values.map((value) => value.toFixed(digits)).join(' : ');
  const cells = [
    what,
    peer,
    pair(cpu, cpu[1] < 100 ? 2 : 0),
    `${ratio.toFixed(2)} (${ratioMax})`,
    pair(outcome.unitsPerSecond, 0),
    p99Ms ? pair(p99Ms, 2) : '',
    latency === undefined ? '' : `${latency.toFixed(2)} (${P99_RATIO_MAX})`,
    holds ? 'holds' : 'missed',
  ];
  return { line: `| ${cells.join(' | ')} |`, holds };
}

export const HEAD =
  '| what | peer | CPU us a unit, weft : peer | ratio (limit) | units a second | p99 ms at 70 % | ratio (limit) | |\n' +
  '| --- | --- | --- | --- | --- | --- | --- | --- |';
