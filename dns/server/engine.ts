import { EngineChoice, type EngineName } from '../../src/net/engine.ts';
import type { OpenDatagramEngine } from './datagram-engine.ts';
import {
  nativeDatagram,
  type NativeDatagramDeps,
  type NativeDatagramOptions,
} from './native/native-datagram.ts';
import { nativeStream } from './native/native-stream.ts';
import { openPortableDatagram } from './portable-datagram.ts';
import type { OpenStreamEngine, StreamEngine } from './stream-engine.ts';
import { openPortableStream } from './stream-listener.ts';

/** How sockets for UDP are opened, and those for TCP and TLS. */
export function dnsEngines(
  name: EngineName,
  deps: NativeDatagramDeps,
  options: NativeDatagramOptions,
): { readonly openDatagram: OpenDatagramEngine; readonly openStream: OpenStreamEngine } {
  const choice = new EngineChoice(name, deps);
  const { cpus = [], receivers } = options;
  const stream = nativeStream(deps, { cpu: cpus[receivers % cpus.length] });
  return {
    openDatagram: datagramEngine(choice, deps, options),
    openStream: (streamDeps, where) => {
      const portable = (): Promise<StreamEngine> => openPortableStream(streamDeps, where);
      // secrets of sessions are written by node:tls alone: who reads the traffic wants to see it, not to have it fast
      if (where.tls?.keyLogFile !== undefined) return portable();
      return choice.open(() => stream(streamDeps, where), portable);
    },
  };
}

function datagramEngine(
  choice: EngineChoice,
  deps: NativeDatagramDeps,
  options: NativeDatagramOptions,
): OpenDatagramEngine {
  const native = nativeDatagram(deps, options);
  return (where, handler) =>
    choice.open(
      () => native(where, handler),
      () => openPortableDatagram(where, handler),
    );
}
