import { hasCode, messageOf } from '../base/fault.ts';
import type { Logger } from '../base/log.ts';

/** How sockets are served: `native` by system calls in threads, `portable` by node's own modules, `auto` by what works. */
export const ENGINES = ['auto', 'native', 'portable'] as const;
export type EngineName = (typeof ENGINES)[number];

/** Faults that say the host cannot run the native engine, not that the address cannot be had. */
const NOT_HERE = ['FFI', 'NATIVE_UNSUPPORTED', 'ENOSYS'];

/** Opens things by the engine that was chosen; `auto` is native where that works, and says once why where it does not. */
export class EngineChoice {
  readonly #name: EngineName;
  readonly #log: Logger;
  #told = false;

  constructor(name: EngineName, deps: { readonly log: Logger }) {
    this.#name = name;
    this.#log = deps.log;
  }

  /** Rejects as the engine does that was used last. */
  async open<T>(native: () => Promise<T>, portable: () => Promise<T>): Promise<T> {
    if (this.#name === 'portable') return await portable();
    try {
      return await native();
    } catch (error) {
      if (this.#name === 'native' || !NOT_HERE.some((code) => hasCode(error, code))) throw error;
      if (!this.#told) this.#log.info('native engine not used', { reason: messageOf(error) });
      this.#told = true;
      return await portable();
    }
  }
}
