import { messageOf } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import { EngineChoice } from '../../src/net/engine.ts';
import { TlsContext } from '../../src/net/native/tls-context.ts';
import type { IngressOptions } from '../controller-options.ts';
import type { NativePlaneOptions } from '../native/native-plane.ts';
import type { ClientSocketsDeps } from './client-sockets.ts';
import { type HttpListener, Listener } from './listener.ts';

export interface OpenListenersDeps {
  readonly log: Logger;
  readonly clients: ClientSocketsDeps;
  /** Opens ports by the native engine, all of them or none. */
  readonly native: (where: NativePlaneOptions) => readonly HttpListener[];
}

/** Opens every HTTP port by the engine that was chosen; `opened` has those that are open when it rejects, too. */
export async function openListeners(
  { log, clients, native }: OpenListenersDeps,
  { http, https, engine = 'portable', workers = 1, workerCpus: cpus }: IngressOptions,
  opened: HttpListener[],
): Promise<void> {
  const plain = http.map((address) => ({ ...address, secure: false }));
  const all = [...plain, ...https.map((address) => ({ ...address, secure: true }))];
  const choice = new EngineChoice(all.length > 0 ? engine : 'portable', { log });
  const rest = await choice.open(
    async () => {
      const addresses = hasNativeTls(log) ? all : plain;
      if (addresses.length > 0) opened.push(...native({ addresses, workers, ...(cpus && { cpus }) }));
      return all.filter((address) => !addresses.includes(address));
    },
    async () => all,
  );
  for (const address of rest) opened.push(await Listener.open(clients, address));
}

/** Says once why not. */
function hasNativeTls(log: Logger): boolean {
  try {
    TlsContext.prove();
    return true;
  } catch (error) {
    log.info('native engine without TLS', { reason: messageOf(error) });
    return false;
  }
}
