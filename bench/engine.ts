/**
 * The native engine beside NSD, Knot, nginx and haproxy, in one run: CPU per unit of work, throughput, and p99 at 70 % of
 * the lower saturation. Servers on one core, load on the other. Rows whose peer is not installed are left out.
 * Run: node bench/engine.ts [seconds] [rounds] [dns|http|relay]: a quarter of an hour with 3 and 5. Fails where a limit is missed.
 */
import { cpus, loadavg } from 'node:os';
import { type Contest, HEAD, judged, run } from './engine/contest.ts';
import { dnsContests } from './engine/dns-contests.ts';
import { httpContests } from './engine/http-contests.ts';
import { relayContests } from './engine/relay-contests.ts';

const seconds = Number(process.argv[2] ?? 3);
const rounds = Number(process.argv[3] ?? 5);
const only = process.argv[4];
const CONTESTS = { dns: dnsContests, http: httpContests, relay: relayContests } as const;

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const load = loadavg().map((value) => value.toFixed(1));
say(`${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}, load average ${load.join(' ')}\n`);
say(HEAD);
for (const [name, contests] of Object.entries(CONTESTS)) {
  if (only !== undefined && only !== name) continue;
  await contests(seconds, async (contest: Contest) => {
    const { line, holds } = judged(await run(contest, rounds));
    say(line);
    if (!holds) process.exitCode = 1;
  });
}
