import { messageOf } from '../../../src/base/fault.ts';
import { familyOf } from '../../../src/net/ip.ts';
import type { PluginDeps, ZoneSource } from '../../plugin.ts';
import type { Peer } from '../../query.ts';
import { encodeMessage } from '../../wire/encode.ts';
import { queryMessage } from '../../wire/message.ts';
import { signMessage, type TsigKey } from '../../wire/tsig.ts';
import { UdpExchange } from '../forward/udp-exchange.ts';

/** Changes within this are told together: at most one NOTIFY a zone and secondary in it. */
const GATHER_MS = 1000;
const TRIES = 5;
const FIRST_TIMEOUT_MS = 1000;

/** Tells secondaries that a zone has changed (RFC 1996), repeating with growing pauses until they answer. */
export class Notifier implements Disposable {
  readonly #deps: PluginDeps;
  readonly #zones: readonly string[];
  readonly #key: TsigKey | undefined;
  readonly #peers: readonly UdpExchange[];
  readonly #subscriptions: Disposable[] = [];
  readonly #timers = new Map<string, Disposable>();
  readonly #abort = new AbortController();

  constructor(
    deps: PluginDeps,
    options: {
      readonly zones: readonly string[];
      readonly notified: readonly Peer[];
      readonly source: string | undefined;
      /** What they are told is signed with it. */
      readonly key: TsigKey | undefined;
    },
  ) {
    this.#deps = deps;
    this.#zones = options.zones;
    this.#key = options.key;
    this.#peers = options.notified.map((peer) => {
      // An address of the other family cannot be the source.
      const source = familyOf(peer.address) === familyOf(options.source ?? '') ? options.source : undefined;
      return new UdpExchange(deps, peer, source);
    });
  }

  watch(sources: readonly ZoneSource[]): void {
    if (this.#peers.length === 0) return;
    for (const source of sources) {
      const subscription = source.subscribe?.((zone) => this.#changed(zone));
      if (subscription) this.#subscriptions.push(subscription);
      for (const zone of source.zones) if (source.serial(zone) !== undefined) this.#changed(zone);
    }
  }

  [Symbol.dispose](): void {
    this.#abort.abort(new Error('server stops'));
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]();
    for (const timer of this.#timers.values()) timer[Symbol.dispose]();
    for (const peer of this.#peers) peer[Symbol.dispose]();
  }

  #changed(zone: string): void {
    if (!this.#zones.includes(zone) || this.#timers.has(zone)) return;
    const timer = this.#deps.clock.setTimer(GATHER_MS, () => {
      this.#timers.delete(zone);
      for (const peer of this.#peers) void this.#tell(peer, zone);
    });
    this.#timers.set(zone, timer);
  }

  async #tell(peer: UdpExchange, zone: string): Promise<void> {
    const question = { name: zone, type: 'SOA', class: 'IN' } as const;
    const notify = queryMessage(question, { opcode: 'NOTIFY', authoritative: true, recursionDesired: false });
    for (let attempt = 0; attempt < TRIES; attempt++) {
      try {
        const timeoutMs = FIRST_TIMEOUT_MS * 2 ** attempt;
        await peer.ask(this.#signed(encodeMessage(notify)), () => true, timeoutMs, this.#abort.signal);
        return;
      } catch (error) {
        if (this.#abort.signal.aborted) return;
        this.#deps.log.debug('notify not answered', { zone, attempt, reason: messageOf(error) });
      }
    }
    this.#deps.log.warn('secondary does not answer notify', { zone });
  }

  #signed(bytes: Uint8Array): Uint8Array {
    if (!this.#key) return bytes;
    return signMessage(this.#key, bytes, { timeSeconds: Math.floor(this.#deps.clock.nowMs() / 1000) }).bytes;
  }
}
