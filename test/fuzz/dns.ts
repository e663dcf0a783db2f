/** Long fuzzing of the DNS server, the compiled table and every fourth round a chain of many plugins: node test/fuzz/dns.ts [packets] [seed]. Ends with 1 at the first wrong answer. */
import { fuzzChain } from '../dns/support/fuzz-chain.ts';
import { fuzzServer } from '../dns/support/fuzz-server.ts';

const ROUND = 100_000;
const packets = Number(process.argv[2] ?? 10_000_000);
const firstSeed = Number(process.argv[3] ?? 1);

const started = performance.now();
for (let done = 0, seed = firstSeed; done < packets; done += ROUND, seed++) {
  const count = Math.min(ROUND, packets - done);
  const { answered, fast } = seed % 4 === 0 ? await fuzzChain(count, seed) : await fuzzServer(count, seed);
  const perSecond = Math.round(((done + ROUND) / (performance.now() - started)) * 1000);
  const rss = Math.round(process.memoryUsage.rss() / 1e6);
  process.stdout.write(
    `seed ${seed}: ${answered} answered, ${fast} from the table, ${perSecond}/s, ${rss} MB\n`,
  );
}
