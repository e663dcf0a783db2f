import { EngineChoice, type EngineName } from '../../src/net/engine.ts';
import type { OpenDatagramEngine } from './datagram-engine.ts';
import {
  nativeDatagram,
  type NativeDatagramDeps,
  type NativeDatagramOptions,
} from './native/native-datagram.ts';
import { openPortableDatagram } from './portable-datagram.ts';

/** How UDP sockets are opened. */
export function datagramEngine(
  name: EngineName,
  deps: NativeDatagramDeps,
  options: NativeDatagramOptions,
): OpenDatagramEngine {
  const choice = new EngineChoice(name, deps);
  const native = nativeDatagram(deps, options);
  return (where, handler) =>
    choice.open(
      () => native(where, handler),
      () => openPortableDatagram(where, handler),
    );
}
