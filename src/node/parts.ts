import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Registry } from '../base/metrics.ts';
import type { Exec } from '../net/exec.ts';
import type { OpenNetlink } from '../net/netlink/socket.ts';

/** What every composition root in this room is handed by the cli. */
export interface NodeDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Registry;
  readonly exec: Exec;
  /** Talks to the kernel without starting programs. */
  readonly openNetlink?: OpenNetlink;
  readonly random: () => number;
  /** Told as each part becomes ready, in start order: `name` and what it listens on or holds. */
  readonly onReady: (name: string, detail: string) => void;
}
