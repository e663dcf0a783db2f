import { hasCode, messageOf } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import type { Exec } from '../../src/net/exec.ts';
import type { Family } from '../../src/net/ip.ts';
import { Nft } from '../../src/net/nft.ts';
import { holdingTable, nftFamily, TABLE } from './kernel-table.ts';

/** Keeps the kernel following connections while sockets serve addresses that another mode served, or will (holdingTable). */
export class ConnectionHold {
  readonly #nft: Nft;
  readonly #log: Logger;
  readonly #family: Family;
  #isWritten = false;
  #told = false;

  constructor(deps: { readonly exec: Exec; readonly log: Logger }, options: { readonly family: Family }) {
    this.#nft = new Nft(deps);
    this.#log = deps.log;
    this.#family = options.family;
  }

  /** Writes the table once; `looks`: whether it is still there, too. A host that cannot is told of once. */
  async ensure(looks: boolean, signal: AbortSignal): Promise<void> {
    if (this.#isWritten && !looks) return;
    try {
      if (this.#isWritten && (await this.#isThere(signal))) return;
      await this.#nft.transaction(holdingTable(this.#family), signal);
      this.#isWritten = true;
    } catch (error) {
      if (signal.aborted) throw error;
      const hint = 'a connection under way will not outlive a change of mode';
      if (!this.#told) this.#log.info('connections not followed', { reason: messageOf(error), hint });
      this.#told = true;
    }
  }

  /** It was removed. */
  forget(): void {
    this.#isWritten = false;
  }

  async #isThere(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#nft.transaction(`list table ${nftFamily(this.#family)} ${TABLE}\n`, signal);
      return true;
    } catch (error) {
      if (hasCode(error, 'NFT_NOT_FOUND')) return false;
      throw error;
    }
  }
}
