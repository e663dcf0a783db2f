/**
 * DNS, ingress and userspace proxy on their native engines under a steady load, with faults mixed in, for long: memory,
 * descriptors and latency must stay flat. Run: node bench/soak.ts [--minutes 120] [--rate 200] [--faults 5]
 * Prints a row a process and sample; fails when the last third is worse than the one before.
 */
import { parseArgs } from 'node:util';
import { soak, type SoakSample } from '../test/soak/soak.ts';
import { median } from './quantiles.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '120' },
    rate: { type: 'string', default: '200' },
    faults: { type: 'string', default: '5' },
  },
});
const SAMPLES = 30;
/** Last third to the one before. */
const GROWTH_MAX = { residentBytes: 1.1, descriptors: 1, p50Ms: 1.5, p99Ms: 2 } as const;
/** Below this a latency is that of the machine's scheduler. */
const LATENCY_FLOOR_MS = 2;

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const MIB = 2 ** 20;

function verdict(name: string, samples: readonly SoakSample[]): boolean {
  const own = samples.filter((sample) => sample.name === name);
  const third = Math.floor(own.length / 3);
  const [middle, last] = [own.slice(third, 2 * third), own.slice(2 * third)];
  let isFlat = true;
  for (const [what, limit] of Object.entries(GROWTH_MAX) as [keyof typeof GROWTH_MAX, number][]) {
    const floor = what.endsWith('Ms') ? LATENCY_FLOOR_MS : 0;
    const [before, after] = [middle, last].map((part) =>
      Math.max(floor, median(part.map((each) => each[what]))),
    );
    const growth = after! / before!;
    if (growth > limit) isFlat = false;
    say(`${growth > limit ? 'GREW' : 'flat'}: ${name} ${what}: ${growth.toFixed(2)} (limit ${limit})`);
  }
  return isFlat;
}

say('| process | minute | RSS MiB | descriptors | answers | p50 ms | p99 ms |');
say('| --- | --- | --- | --- | --- | --- | --- |');
const { samples, sent, askedAgain, failures } = await soak(
  {
    seconds: Number(values.minutes) * 60,
    rate: Number(values.rate),
    faultRate: Number(values.faults),
    samples: SAMPLES,
  },
  ({ name, seconds, residentBytes, descriptors, answered, p50Ms, p99Ms }) => {
    const rss = (residentBytes / MIB).toFixed(1);
    const times = [p50Ms, p99Ms].map((ms) => ms.toFixed(2)).join(' | ');
    say(`| ${name} | ${(seconds / 60).toFixed(1)} | ${rss} | ${descriptors} | ${answered} | ${times} |`);
  },
);
const names = Object.keys(sent);
const flat = names.map((name) => verdict(name, samples));
let isRight = true;
for (const [name, { lost, wrong }] of Object.entries(failures)) {
  say(
    `${name}: ${sent[name]} questions, ${lost} lost, ${wrong} answered wrong, ${askedAgain[name]} sent twice`,
  );
  isRight &&= lost + wrong === 0;
}
if (flat.includes(false) || !isRight) process.exitCode = 1;
