/**
 * What a line for each question costs: CPU per query at a fixed rate with and without `log`, from the table and through the chain,
 * in turns; and how much goes at most, where lines for which there is no room are dropped. Run: node bench/dns/logs.ts [seconds] [rounds]
 */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median } from '../quantiles.ts';
import { treeCpuSeconds } from '../processes.ts';
import { completed, type Engine, startServer, writeQuestions } from './rig.ts';

const SERVICES = 10_000;
const RATE = 15_000;
const LOGS = [
  ['without', ''],
  ['one line in 100', 'log . {\n sample 100\n }'],
  ['from the table', 'log'],
  ['through the chain', 'log . "{common} {local}"'],
] as const;

const seconds = Number(process.argv[2] ?? 3);
const rounds = Number(process.argv[3] ?? 3);
const folder = mkdtempSync(join(tmpdir(), 'weft-bench-'));
const questions = join(folder, 'questions');
const children: ChildProcess[] = [];

try {
  writeQuestions(questions, 'A', SERVICES);
  process.stdout.write(
    `| engine | log | CPU us/query at ${RATE}/s | queries/s at most | CPU us/query then |\n`,
  );
  process.stdout.write('| --- | --- | --- | --- | --- |\n');
  for (const engine of ['native', 'portable'] satisfies Engine[]) {
    const servers = [];
    for (const [what, log] of LOGS) {
      const { child, port } = await startServer(SERVICES, engine, 1, { log });
      children.push(child);
      completed(port, questions, 2, []);
      servers.push({ what, child, port, paced: [] as number[], most: [] as number[], cpu: [] as number[] });
    }
    for (let round = 0; round < rounds; round++)
      for (const { child, port, paced, most, cpu } of servers) {
        const spent = (args: readonly string[]): readonly [cpu: number, done: number] => {
          const before = treeCpuSeconds(child.pid!);
          const done = completed(port, questions, seconds, args);
          return [((treeCpuSeconds(child.pid!) - before) / done) * 1e6, done / seconds];
        };
        paced.push(spent(['-Q', String(RATE)])[0]);
        const [micros, rate] = spent(['-c', '4']);
        most.push(rate);
        cpu.push(micros);
      }
    for (const { what, paced, most, cpu } of servers)
      process.stdout.write(
        `| ${engine} | ${what} | ${median(paced).toFixed(1)} | ${median(most).toFixed(0)} | ${median(cpu).toFixed(1)} |\n`,
      );
    for (const child of children.splice(0)) child.kill('SIGKILL');
  }
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
}
