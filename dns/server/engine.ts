import { hasCode, messageOf } from '../../src/base/fault.ts';
import type { OpenDatagramEngine } from './datagram-engine.ts';
import {
  nativeDatagram,
  type NativeDatagramDeps,
  type NativeDatagramOptions,
} from './native/native-datagram.ts';
import { openPortableDatagram } from './portable-datagram.ts';

export const ENGINES = ['auto', 'native', 'portable'] as const;
export type EngineName = (typeof ENGINES)[number];

/** Faults that say the host cannot run the native engine, not that the address cannot be had. */
const NOT_HERE = ['FFI', 'NATIVE_UNSUPPORTED', 'ENOSYS'];

/** How UDP sockets are opened: `auto` is native where that works, and says in one line why where it does not. */
export function datagramEngine(
  name: EngineName,
  deps: NativeDatagramDeps,
  options: NativeDatagramOptions,
): OpenDatagramEngine {
  if (name === 'portable') return openPortableDatagram;
  const native = nativeDatagram(deps, options);
  if (name === 'native') return native;
  let told = false;
  return async (where, handler) => {
    try {
      return await native(where, handler);
    } catch (error) {
      if (!NOT_HERE.some((code) => hasCode(error, code))) throw error;
      if (!told) deps.log.info('native engine not used', { reason: messageOf(error) });
      told = true;
      return await openPortableDatagram(where, handler);
    }
  };
}
