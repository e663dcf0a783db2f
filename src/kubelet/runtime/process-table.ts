import { readdirSync, readFileSync } from 'node:fs';
import type { Clock } from '../../base/clock.ts';
import { PROCESS_TABLE_FRESH_MS } from '../limits.ts';

/** One process of the host as /proc/PID/stat tells it (proc_pid_stat(5)). */
export interface ProcessStat {
  readonly pid: number;
  readonly state: string;
  readonly parentPid: number;
  readonly session: number;
  /** User and system time, its own and that of the children it waited for, clock ticks. */
  readonly cpuTicks: number;
  /** Clock ticks after boot; with the pid it names a process for good. */
  readonly startTicks: number;
  readonly residentPages: number;
}

/** A session that is ours, until its leader ended (Infinity while it runs). */
export interface SessionClaim {
  readonly id: number;
  readonly untilTicks: number;
}

/** Clock ticks a second in /proc (USER_HZ), 100 on every Linux. */
export const TICKS_PER_SECOND = 100;

/** Now, in ticks after boot. */
export function ticksNow(): number {
  return Math.ceil(Number.parseFloat(readFileSync('/proc/uptime', 'latin1')) * TICKS_PER_SECOND);
}

/** Undefined when the text is no stat line. The command name may hold spaces and brackets. */
export function parseStat(text: string): ProcessStat | undefined {
  const close = text.lastIndexOf(')');
  const pid = Number.parseInt(text, 10);
  if (close < 0 || !Number.isInteger(pid)) return undefined;
  const fields = text.slice(close + 2).split(' ');
  if (fields.length < 22) return undefined;
  const field = (number: number): number => Number(fields[number - 3]);
  return {
    pid,
    state: fields[0] ?? '',
    parentPid: field(4),
    session: field(6),
    cpuTicks: field(14) + field(15) + field(16) + field(17),
    startTicks: field(22),
    residentPages: field(24),
  };
}

/** Undefined when it ended. Zombies are reported with state Z. */
export function readStat(pid: number): ProcessStat | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return undefined; // ended between the listing and now
  }
}

/** True while that very process (not a later one with its number) runs. */
export function isRunning(pid: number, startTicks: number): boolean {
  const stat = readStat(pid);
  return stat !== undefined && stat.startTicks === startTicks && stat.state !== 'Z' && stat.state !== 'X';
}

/** The environment a process was started with; undefined when it ended or belongs to another user. */
export function readEnvironment(pid: number): Record<string, string> | undefined {
  try {
    const pairs = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    return Object.fromEntries(
      pairs
        .filter((pair) => pair.includes('='))
        .map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
    );
  } catch {
    return undefined;
  }
}

/** Names this boot of the host: start times of another boot say nothing. */
export function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return '';
  }
}

/**
 * The host's processes with the container each was started for, read from the marker variable in its
 * environment. Lists are shared for PROCESS_TABLE_FRESH_MS; markers are kept as long as the process lives.
 */
export class ProcessTable {
  readonly #clock: Clock;
  readonly #markerName: string;
  readonly #markers = new Map<number, { startTicks: number; marker: string | undefined }>();
  #readAtMs = Number.NEGATIVE_INFINITY;
  #list: readonly ProcessStat[] = [];

  constructor(deps: { clock: Clock }, options: { markerName: string }) {
    this.#clock = deps.clock;
    this.#markerName = options.markerName;
  }

  /** Living processes, without zombies. `fresh` reads again whatever the age of the last list. */
  list(fresh = false): readonly ProcessStat[] {
    const now = this.#clock.monotonicMs();
    if (!fresh && now - this.#readAtMs < PROCESS_TABLE_FRESH_MS) return this.#list;
    this.#readAtMs = now;
    const found: ProcessStat[] = [];
    for (const name of readdirSync('/proc')) {
      const first = name.charCodeAt(0);
      if (first < 48 || first > 57) continue;
      const stat = readStat(Number(name));
      if (stat && stat.state !== 'Z' && stat.state !== 'X') found.push(stat);
    }
    this.#list = found;
    this.#forgetEnded(found);
    return found;
  }

  /** The value of the marker variable a process carries. */
  markerOf(stat: ProcessStat): string | undefined {
    const known = this.#markers.get(stat.pid);
    if (known && known.startTicks === stat.startTicks && known.marker !== undefined) return known.marker;
    const marker = readEnvironment(stat.pid)?.[this.#markerName];
    this.#markers.set(stat.pid, { startTicks: stat.startTicks, marker });
    return marker;
  }

  /**
   * Everything that belongs to one container: started for it (marker), or of its session. A session's number
   * may be given to strangers once its leader has ended, so then only processes count that began before.
   */
  membersOf(marker: string, session: SessionClaim | undefined, fresh = false): readonly ProcessStat[] {
    return this.list(fresh).filter(
      (stat) =>
        (session?.id === stat.session && stat.startTicks <= session.untilTicks) ||
        this.markerOf(stat) === marker,
    );
  }

  #forgetEnded(living: readonly ProcessStat[]): void {
    if (this.#markers.size <= living.length * 2) return;
    const pids = new Set(living.map((stat) => stat.pid));
    for (const pid of this.#markers.keys()) if (!pids.has(pid)) this.#markers.delete(pid);
  }
}
