import { hrtime } from 'node:process';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import { sendUnixDatagram } from '../../net/unix-datagram.ts';

export interface SystemdNotifierDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
}

/**
 * Tells systemd how the daemon is (sd_notify(3)): without NOTIFY_SOCKET all of it does nothing. While `isWell` says
 * so, the watchdog is fed at half its interval (sd_watchdog_enabled(3)); a daemon that hangs or is ill is restarted.
 */
export class SystemdNotifier implements Disposable {
  readonly #deps: SystemdNotifierDeps;
  readonly #path: string | undefined;
  #watchdog: Disposable | undefined;
  #toldFault = false;

  constructor(deps: SystemdNotifierDeps) {
    this.#deps = deps;
    this.#path = deps.env['NOTIFY_SOCKET'] || undefined;
  }

  ready(status: string): void {
    this.#notify(`READY=1\nMAINPID=${this.#deps.pid}\nSTATUS=${oneLine(status)}`);
  }

  /** A reload begins; `ready` ends it. MONOTONIC_USEC is what Type=notify-reload wants. */
  reloading(): void {
    const usec = hrtime.bigint() / 1000n;
    this.#notify(`RELOADING=1\nMONOTONIC_USEC=${usec}\nSTATUS=reading the configuration again`);
  }

  stopping(): void {
    this.#watchdog?.[Symbol.dispose]();
    this.#notify('STOPPING=1\nSTATUS=draining');
  }

  /** Begins to feed the watchdog, when there is one for this process. */
  watch(isWell: () => boolean): void {
    const { clock, env, pid } = this.#deps;
    const usec = Number(env['WATCHDOG_USEC']);
    const forUs = env['WATCHDOG_PID'] === undefined || Number(env['WATCHDOG_PID']) === pid;
    if (this.#path === undefined || !(usec > 0) || !forUs) return;
    const feed = (): void => {
      if (isWell()) this.#notify('WATCHDOG=1');
      this.#watchdog = clock.setTimer(usec / 2_000, feed);
    };
    feed();
  }

  [Symbol.dispose](): void {
    this.#watchdog?.[Symbol.dispose]();
  }

  #notify(text: string): void {
    if (this.#path === undefined) return;
    try {
      sendUnixDatagram(this.#path, text);
    } catch (error) {
      if (!this.#toldFault) this.#deps.log.warn('service manager not told', { reason: messageOf(error) });
      this.#toldFault = true;
    }
  }
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ');
}
