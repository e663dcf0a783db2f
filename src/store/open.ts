import type { Clock } from '../base/clock.ts';
import { Fault } from '../base/fault.ts';
import type { Logger } from '../base/log.ts';
import { openMemoryStore } from './memory-store.ts';
import { openSqliteStore } from './sqlite-store.ts';
import { STORE_OPEN_FAILED } from './store.ts';
import type { Store } from './store.ts';

/**
 * Opens `memory:` or `sqlite:FILE`.
 * @throws Fault STORE_OPEN_FAILED for any other address, and the faults of the store it names
 */
export async function openStore(deps: { clock: Clock; log: Logger }, url: string): Promise<Store> {
  const [scheme, rest] = splitUrl(url);
  if (scheme === 'memory' && rest === '') return openMemoryStore(deps);
  if (scheme === 'sqlite' && rest !== '') return await openSqliteStore(deps, { path: rest });
  throw new Fault(STORE_OPEN_FAILED, `no store is called ${url}; use memory: or sqlite:FILE`);
}

function splitUrl(url: string): [scheme: string, rest: string] {
  const colon = url.indexOf(':');
  return colon < 0 ? ['', url] : [url.slice(0, colon), url.slice(colon + 1)];
}
