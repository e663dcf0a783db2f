import type { Clock } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/log.ts';
import { Gauge, type Registry } from '../../../src/base/metrics.ts';
import { type Cidr, parseCidrOrAddress } from '../../../src/net/cidr.ts';
import { joinHostPort } from '../../../src/net/ip.ts';
import { type BgpPeer, BgpSession, type SessionOptions } from './session.ts';

export interface BgpOptions extends Omit<SessionOptions, 'peer'> {
  readonly peers: readonly BgpPeer[];
}

export interface SpeakerDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Registry;
  readonly random: () => number;
}

/** Tells every peer of the same addresses, each as a route to that one host. */
export class BgpSpeaker implements Disposable {
  readonly #sessions: readonly BgpSession[];

  constructor(deps: SpeakerDeps, { peers, ...options }: BgpOptions) {
    const up = new Gauge({
      name: 'weft_announce_bgp_session_up',
      help: '1 while the session with this peer is established',
      labelNames: ['peer'],
      registers: [deps.metrics],
    });
    this.#sessions = peers.map((peer) => {
      const label = joinHostPort(peer.address, peer.port);
      up.set({ peer: label }, 0);
      const onState = (state: string): void => up.set({ peer: label }, state === 'established' ? 1 : 0);
      return new BgpSession({ ...deps, onState }, { ...options, peer });
    });
  }

  announce(addresses: readonly string[]): void {
    const prefixes = new Map<string, Cidr>();
    for (const address of addresses) {
      const prefix = parseCidrOrAddress(address);
      if (prefix) prefixes.set(address, prefix);
    }
    for (const session of this.#sessions) session.announce(prefixes);
  }

  [Symbol.dispose](): void {
    for (const session of this.#sessions) session[Symbol.dispose]();
  }
}
