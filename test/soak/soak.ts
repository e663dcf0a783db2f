import { systemClock } from '../../src/base/clock.ts';
import { mischief } from './mischief.ts';
import { SoakWorld } from './soak-world.ts';
import { type Failures, PATIENCE_MS, type SteadyClient, steadyClients } from './steady-clients.ts';

const TICK_MS = 10;

export interface SoakOptions {
  readonly seconds: number;
  /** Questions a second of each client. */
  readonly rate: number;
  /** Faults a second. */
  readonly faultRate: number;
  /** So many samples are taken, evenly. */
  readonly samples: number;
}

/** What one process held, and how its client fared since the sample before. */
export interface SoakSample {
  readonly name: string;
  readonly seconds: number;
  readonly residentBytes: number;
  readonly descriptors: number;
  readonly answered: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface SoakResult {
  readonly samples: readonly SoakSample[];
  readonly sent: Readonly<Record<string, number>>;
  /** Datagrams that were sent once more. */
  readonly askedAgain: Readonly<Record<string, number>>;
  readonly failures: Readonly<Record<string, Readonly<Failures>>>;
  /** What the processes wrote. */
  readonly output: string;
}

/** Load at a fixed rate beside all kinds of faults; nothing waits for anything. `sampled` is told each sample. */
export async function soak(options: SoakOptions, sampled: (sample: SoakSample) => void): Promise<SoakResult> {
  await using world = await SoakWorld.open();
  const clients = steadyClients(world);
  const mischievous = mischief(world);
  const samples: SoakSample[] = [];
  const take = (seconds: number): void => {
    for (const sample of sampleOf(world, clients, seconds)) {
      samples.push(sample);
      sampled(sample);
    }
  };
  await run(options, clients, mischievous, take);
  await settle(clients); // what is pending then is a failure
  for (const client of clients) client[Symbol.dispose]();
  const by = <T>(what: (client: SteadyClient) => T): Record<string, T> =>
    Object.fromEntries(clients.map((client) => [client.name, what(client)]));
  return {
    samples,
    sent: by((client) => client.sent),
    askedAgain: by((client) => client.askedAgain),
    failures: by((client) => client.failures),
    output: world.processes.map((each) => each.output).join(''),
  };
}

async function run(
  { seconds, rate, faultRate, samples }: SoakOptions,
  clients: readonly SteadyClient[],
  mischievous: (round: number) => void,
  take: (seconds: number) => void,
): Promise<void> {
  const startMs = systemClock.monotonicMs();
  let [asked, faults, taken] = [0, 0, 0];
  for (;;) {
    const passed = (systemClock.monotonicMs() - startMs) / 1000;
    // what a late tick has missed is made up for
    for (; asked < Math.min(passed, seconds) * rate; asked++) for (const client of clients) client.ask();
    for (; faults < passed * faultRate; faults++) mischievous(faults);
    if (passed >= ((taken + 1) * seconds) / samples) {
      taken++;
      take(passed);
    }
    if (passed >= seconds) return;
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
}

/** Answers that are on their way arrive. */
async function settle(clients: readonly SteadyClient[]): Promise<void> {
  const endMs = systemClock.monotonicMs() + PATIENCE_MS;
  while (clients.some(({ pending }) => pending > 0) && systemClock.monotonicMs() < endMs)
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
}

function sampleOf(world: SoakWorld, clients: readonly SteadyClient[], seconds: number): SoakSample[] {
  return world.processes.map(({ name, residentBytes, descriptors }, i) => {
    const { latency } = clients[i]!;
    const sample = {
      name,
      seconds,
      residentBytes,
      descriptors,
      answered: latency.count,
      p50Ms: latency.quantile(0.5),
      p99Ms: latency.quantile(0.99),
    };
    latency.reset();
    return sample;
  });
}
