import type { OcspAnswer } from '../certificates/ocsp-stapler.ts';
import { STAPLE_ASK_MS } from './limits.ts';

export interface NameStapleDeps {
  /** The wall clock. */
  readonly nowMs: () => number;
  /** `enable-ocsp` holds. */
  readonly isWanted: () => boolean;
  /** Has the main thread say what may be shown by a server name: it asks responders, and keeps what they answer. */
  readonly ask: (name: string) => void;
}

/** The OCSP answer that goes with one manner of speaking TLS, as a worker has it. No handshake waits for it. */
export class NameStaple {
  /** One that speaks so now. */
  serverName = '';
  /** What was told last. */
  answer: OcspAnswer | undefined;
  readonly #deps: NameStapleDeps;
  #askAgainMs = 0;

  constructor(deps: NameStapleDeps) {
    this.#deps = deps;
  }

  /** For a client that asks, now. */
  show(): Uint8Array | undefined {
    if (!this.#deps.isWanted()) return undefined;
    const nowMs = this.#deps.nowMs();
    if (nowMs >= this.#askAgainMs) {
      this.#askAgainMs = nowMs + STAPLE_ASK_MS;
      this.#deps.ask(this.serverName);
    }
    return this.answer && nowMs < this.answer.untilMs ? this.answer.bytes : undefined;
  }
}
