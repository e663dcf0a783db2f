/** DNS over UDP beside NSD and Knot: dnsperf asks, at once or at a fixed rate. */
import { execFile, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { peers, writeZones } from '../dns/peers.ts';
import { answering, type Questions, startServer, writeQuestions } from '../dns/rig.ts';
import { type Contender, type Contest, LOAD_CORE, p99 } from './contest.ts';

const HOST = '127.0.0.1';
const RATIO_MAX: Readonly<Record<string, number>> = { nsd: 1, knotd: 0.9, coredns: 0.25 };
const MIXED_SERVICES = 100_000;
const MIXED_RATIO_MAX = 1.2;
const TWO_RECEIVERS_RATIO_MAX = 1.1;
/** How long a client waits for an answer over UDP: stub resolvers ask again after this (resolv.conf(5)). */
const PATIENCE_SECONDS = 5;
/** Of the client's sockets: it shall lose nothing. */
const CLIENT_BUFFER_KB = 4_096;

/** Calls back with each contest while its contenders run. */
export async function dnsContests(
  seconds: number,
  fought: (contest: Contest) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'weft-bench-'));
  const children: ChildProcess[] = [];
  const weft = async (services: number, receivers: number): Promise<Contender> => {
    const { child, port } = await startServer(services, 'native', receivers);
    children.push(child);
    return { name: `weft, ${receivers} receiver`, pid: child.pid ?? 0, address: HOST, port };
  };
  const asking = (services: number, kind: Questions): Pick<Contest, 'saturate' | 'pace'> => {
    const questions = join(folder, `${kind}-${services}`);
    writeQuestions(questions, kind, services);
    const flags = ['-d', questions, '-e'];
    return {
      saturate: (of) => saturate(of, seconds, flags),
      pace: (of, rate) => pace(of, rate, seconds, flags),
    };
  };
  const stopAll = (): void => children.splice(0).forEach((child) => child.kill('SIGKILL'));
  try {
    for (const [services, kind] of [
      [10_000, 'A'],
      [MIXED_SERVICES, 'mixed'],
    ] as const) {
      writeZones(folder, services);
      const ours = await weft(services, 1);
      for (const { name, port, start } of peers()) {
        if (kind === 'mixed' && name !== 'nsd') continue;
        const child = start(folder);
        children.push(child);
        await answering(port);
        const theirs = { name, pid: child.pid ?? 0, address: HOST, port };
        const ratioMax = kind === 'mixed' ? MIXED_RATIO_MAX : (RATIO_MAX[name] ?? 1);
        const what = `DNS UDP, ${services.toLocaleString('en')} services, ${kind}`;
        await fought({ what, ratioMax, ours, theirs, ...asking(services, kind) });
      }
      if (kind === 'A')
        await fought({
          what: 'DNS UDP, two receivers on two cores',
          ratioMax: TWO_RECEIVERS_RATIO_MAX,
          ours: await weft(services, 2),
          theirs: ours,
          saturate: asking(services, kind).saturate,
        });
      stopAll();
    }
  } finally {
    stopAll();
    rmSync(folder, { recursive: true });
  }
}

async function dnsperf({ port }: Contender, seconds: number, flags: readonly string[]): Promise<string> {
  const args = ['-s', HOST, '-p', port, '-l', seconds, '-c', 4, '-W'].map(String);
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
async function pace(of: Contender, rate: number, seconds: number, flags: readonly string[]): Promise<number> {
  const paced = ['-q', '10000', '-Q', String(Math.round(rate)), '-b', String(CLIENT_BUFFER_KB)];
  const out = await dnsperf(of, seconds, [...flags, ...paced, '-t', String(PATIENCE_SECONDS), '-v']);
  const times = [...out.matchAll(/^> .* (\d+\.\d+)$/gm)].map(([, text]) => Number(text) * 1_000);
  if (times.length === 0) throw new Error(`${of.name} answered nothing:\n${out.slice(0, 1_000)}`);
  const lost = Number(/Queries lost:\s+(\d+)/.exec(out)?.[1] ?? 0);
  for (let i = 0; i < lost; i++) times.push(PATIENCE_SECONDS * 1_000);
  return p99(Float64Array.from(times));
}
