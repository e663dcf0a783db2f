/**
 * `npm run bench [-- NAME...]`: runs the benchmarks one after the other on an otherwise idle machine and prints each
 * one's table, after saying what the machine is. NAME is a room (dns, ingress, proxy, api) or a script of one.
 */
import { spawnSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join, relative } from 'node:path';

const ROOT = new URL('.', import.meta.url).pathname;
const BENCHMARKS = [
  'engine.ts',
  'dns/queries.ts',
  'dns/tls.ts',
  'dns/table.ts',
  'dns/cold-start.ts',
  'dns/allocations.ts',
  'ingress/requests.ts',
  'ingress/engines.ts',
  'ingress/swaps.ts',
  'ingress/table.ts',
  'ingress/handshakes.ts',
  'ingress/memory.ts',
  'ingress/allocations.ts',
  'proxy/userspace.ts',
  'proxy/kernel.ts',
  'proxy/compile.ts',
  'api/server.ts',
  'api/store.ts',
];
/** Load average above which figures mean little. */
const LOAD_QUIET = 0.5;

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const wanted = process.argv.slice(2);
const chosen = BENCHMARKS.filter(
  (file) => wanted.length === 0 || wanted.some((name) => file.startsWith(`${name}/`) || file === name),
);
const [load = 0] = loadavg();
say(
  `${cpus()[0]?.model}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node ${process.version}`,
);
if (load > LOAD_QUIET) say(`The machine is not quiet (load ${load.toFixed(2)}): trust ratios, not figures.`);
let failed = 0;
for (const file of chosen) {
  say(`\n## ${file}\n`);
  const path = relative(process.cwd(), join(ROOT, file));
  const { status } = spawnSync(process.execPath, ['--expose-gc', path], { stdio: 'inherit' });
  if (status !== 0) failed++;
}
if (chosen.length === 0) say(`no benchmark is named ${wanted.join(' or ')}`);
if (failed > 0) say(`\n${failed} of ${chosen.length} missed a target or did not run`);
process.exitCode = failed > 0 || chosen.length === 0 ? 1 : 0;
