import { readFile } from 'node:fs/promises';
import { type Clock, sleep } from '../../base/clock.ts';

const COUNT_PATH = '/proc/sys/net/netfilter/nf_conntrack_count';
const MAX_PATH = '/proc/sys/net/netfilter/nf_conntrack_max';
const STAT_PATH = '/proc/net/stat/nf_conntrack';
const INTERVAL_MS = 10_000;

/** How full the kernel's connection table is, and how many packets it has thrown away for want of room. */
export interface ConntrackLoad {
  readonly count: number;
  readonly max: number;
  readonly dropped: number;
}

export interface ConntrackWatchDeps {
  readonly clock: Clock;
  /** Told when packets were dropped since the last look. */
  readonly onFull: (load: ConntrackLoad, droppedNow: number) => void;
  /** Undefined where the kernel tracks nothing. */
  readonly read?: () => Promise<ConntrackLoad | undefined>;
}

/** Looks every 10 s whether the connection table overflows: new connections then fail without a word. */
export function openConntrackWatch(deps: ConntrackWatchDeps): AsyncDisposable {
  const abort = new AbortController();
  const running = watch(deps, abort.signal);
  return {
    async [Symbol.asyncDispose]() {
      abort.abort(new Error('conntrack watch disposed'));
      await running;
    },
  };
}

async function watch(
  { clock, onFull, read = readConntrackLoad }: ConntrackWatchDeps,
  signal: AbortSignal,
): Promise<void> {
  let before = await read();
  while (!signal.aborted) {
    await sleep(clock, INTERVAL_MS, signal).catch(() => {}); // disposed: the loop ends
    if (signal.aborted) return;
    const now = await read();
    if (before && now && now.dropped > before.dropped) onFull(now, now.dropped - before.dropped);
    before = now;
  }
}

async function readConntrackLoad(): Promise<ConntrackLoad | undefined> {
  try {
    const [count, max, stat] = await Promise.all(
      [COUNT_PATH, MAX_PATH, STAT_PATH].map((path) => readFile(path, 'utf8')),
    );
    return { count: Number(count), max: Number(max), dropped: droppedPackets(stat ?? '') };
  } catch {
    return undefined; // the module is not loaded: nothing is tracked, nothing can overflow
  }
}

/** Sum of the columns `drop` and `early_drop` over all processors (hexadecimal). */
export function droppedPackets(stat: string): number {
  const [header = '', ...rows] = stat.trim().split('\n');
  const names = header.trim().split(/\s+/);
  const columns = ['drop', 'early_drop'].map((name) => names.indexOf(name)).filter((at) => at >= 0);
  const cells = rows.flatMap((row) => {
    const words = row.trim().split(/\s+/);
    return columns.map((at) => Number.parseInt(words[at] ?? '0', 16));
  });
  return cells.reduce((sum, cell) => sum + (Number.isNaN(cell) ? 0 : cell), 0);
}
