/** What the benchmarks ask of processes: readiness, and from /proc their CPU time. */
import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const TICKS_PER_SECOND = 100; // USER_HZ, fixed on Linux

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly cpuSeconds: number;
}

function statOf(pid: number): Stat | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return {
      pid,
      parent: Number(fields[1]),
      cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    };
  } catch {
    return undefined; // ended meanwhile
  }
}

function allStats(): Stat[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => statOf(Number(name)) ?? []);
}

/** Resolves with the line `ready`. */
export function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => chunk.includes('ready') && resolve());
    child.on('exit', (code) => reject(new Error(`ended with ${code} before it was ready`)));
  });
}

export function childrenOf(pid: number): number[] {
  return allStats()
    .filter(({ parent }) => parent === pid)
    .map((stat) => stat.pid);
}

/** User and system time of these processes and their threads so far. */
export function cpuSeconds(...pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + (statOf(pid)?.cpuSeconds ?? 0), 0);
}

/** User and system time of a process, its threads and its living descendants. */
export function treeCpuSeconds(root: number): number {
  const all = allStats();
  const inTree = new Set([root]);
  for (let grown = true; grown;) {
    grown = false;
    for (const { pid, parent } of all) {
      if (inTree.has(parent) && !inTree.has(pid)) grown = !!inTree.add(pid);
    }
  }
  return all.filter(({ pid }) => inTree.has(pid)).reduce((sum, stat) => sum + stat.cpuSeconds, 0);
}
