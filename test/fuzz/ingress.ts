/** Long fuzzing of the ingress: node test/fuzz/ingress.ts [connections] [seed]. Ends with 1 at the first fault. */
import { fuzzIngress } from '../ingress/support/fuzz-ingress.ts';

const ROUND = 5_000;
const connections = Number(process.argv[2] ?? 1_000_000);
const firstSeed = Number(process.argv[3] ?? 1);

const started = performance.now();
for (let done = 0, seed = firstSeed; done < connections; done += ROUND, seed++) {
  const { reached, answered } = await fuzzIngress(Math.min(ROUND, connections - done), seed);
  const perSecond = Math.round(((done + ROUND) / (performance.now() - started)) * 1000);
  const rss = Math.round(process.memoryUsage.rss() / 1e6);
  process.stdout.write(
    `seed ${seed}: ${answered} answered, ${reached} requests reached the backend, ${perSecond}/s, ${rss} MB\n`,
  );
}
