import { setImmediate } from 'node:timers/promises';
import { messageOf } from '../../../src/base/fault.ts';
import type { PluginDeps } from '../../plugin.ts';
import { applyChanges } from '../../zone/apply-changes.ts';
import { isNewerSerial } from '../../zone/serial.ts';
import { fetchChanges, fetchSerial, fetchZone, type Primary } from '../../zone/transfer-client.ts';
import { ZoneData } from '../../zone/zone-data.ts';

/** Before the first transfer there is no SOA to say how often to try. */
const FIRST_RETRY_MS = 1000;
const FIRST_RETRY_MOST_MS = 60_000;
/** SOA values below this would have us ask without pause. */
const LEAST_PAUSE_MS = 1000;

export interface ReplicaOptions {
  readonly zone: string;
  readonly primaries: readonly Primary[];
  readonly onChange: () => void;
}

/**
 * A copy of a zone, kept fresh by the timers of its SOA (RFC 1034 section 4.3.5): every `refresh` the serial is asked
 * for, after a failure every `retry`; a copy that could not be checked for `expire` is no longer served.
 */
export class ZoneReplica implements Disposable {
  readonly #deps: PluginDeps;
  readonly #options: ReplicaOptions;
  readonly #abort = new AbortController();
  #zone: ZoneData | undefined;
  #checkedMs = 0;
  #retryMs = FIRST_RETRY_MS;
  #timer: Disposable | undefined;
  #running: Promise<void> | undefined;
  #again = false;

  constructor(deps: PluginDeps, options: ReplicaOptions) {
    this.#deps = deps;
    this.#options = options;
    void this.refresh();
  }

  /** The copy, unless it has expired. */
  get zone(): ZoneData | undefined {
    return this.#zone && !this.#expired(this.#zone) ? this.#zone : undefined;
  }

  /** Why there is none. */
  get why(): string {
    return this.#zone ? 'the zone has expired' : 'the zone has not been transferred yet';
  }

  /** Looks for a newer version now; one look at a time, and one more if asked meanwhile. */
  async refresh(): Promise<void> {
    if (this.#running) {
      this.#again = true;
      return await this.#running;
    }
    this.#timer?.[Symbol.dispose]();
    this.#running = this.#look().finally(() => (this.#running = undefined));
    await this.#running;
    if (!this.#again || this.#abort.signal.aborted) return;
    this.#again = false;
    await this.refresh();
  }

  [Symbol.dispose](): void {
    this.#abort.abort(new Error('server stops'));
    this.#timer?.[Symbol.dispose]();
  }

  async #look(): Promise<void> {
    const { zone: name, primaries } = this.#options;
    for (const primary of primaries) {
      if (this.#abort.signal.aborted) return;
      try {
        await this.#fetchFrom(primary);
        this.#checkedMs = this.#deps.clock.monotonicMs();
        this.#retryMs = FIRST_RETRY_MS;
        return this.#wait(this.#zone!.soa.data.refresh * 1000);
      } catch (error) {
        if (this.#abort.signal.aborted) return;
        this.#deps.log.warn('zone not transferred', { zone: name, reason: messageOf(error) });
      }
    }
    const retryMs = this.#zone ? this.#zone.soa.data.retry * 1000 : this.#retryMs;
    this.#retryMs = Math.min(this.#retryMs * 2, FIRST_RETRY_MOST_MS);
    this.#wait(retryMs);
  }

  async #fetchFrom(primary: Primary): Promise<void> {
    const { zone: name, onChange } = this.#options;
    const { signal } = this.#abort;
    const ours = this.#zone && !this.#expired(this.#zone) ? this.#zone : undefined;
    if (ours) {
      const serial = await fetchSerial(this.#deps, primary, name, signal);
      if (!isNewerSerial(serial, ours.serial)) return;
    }
    const changed = ours && (await this.#changed(primary, ours));
    const zone = changed ?? (await this.#whole(primary));
    this.#zone = zone;
    const { serial, size } = zone;
    const incremental = changed !== undefined;
    this.#deps.log.info('zone transferred', { zone: name, serial, records: size, incremental });
    onChange();
  }

  async #whole(primary: Primary): Promise<ZoneData> {
    const { zone: name } = this.#options;
    const records = await fetchZone(this.#deps, primary, name, this.#abort.signal);
    return await ZoneData.inTurns(name, records, setImmediate);
  }

  /** The newer version by IXFR; undefined where that does not lead to one, for whatever reason. */
  async #changed(primary: Primary, ours: ZoneData): Promise<ZoneData | undefined> {
    const { zone: name } = this.#options;
    try {
      const transfer = await fetchChanges(this.#deps, primary, ours.soa, this.#abort.signal);
      if (transfer.kind === 'current') return undefined;
      if (transfer.kind === 'changes') return await applyChanges(ours, transfer.changes, setImmediate);
      return await ZoneData.inTurns(name, transfer.records, setImmediate); // it chose to send all of it
    } catch (error) {
      if (this.#abort.signal.aborted) throw error;
      this.#deps.log.info('no incremental transfer', { zone: name, reason: messageOf(error) });
      return undefined;
    }
  }

  #expired({ soa }: ZoneData): boolean {
    return this.#deps.clock.monotonicMs() - this.#checkedMs > soa.data.expire * 1000;
  }

  #wait(delayMs: number): void {
    if (this.#abort.signal.aborted) return;
    this.#timer = this.#deps.clock.setTimer(Math.max(delayMs, LEAST_PAUSE_MS), () => void this.refresh());
  }
}
