import { readFileSync } from 'node:fs';
import type { Clock } from '../base/clock.ts';
import { Fault, messageOf } from '../base/fault.ts';
import type { Logger } from '../base/log.ts';
import type { EtcdStoreOptions } from './etcd-store.ts';
import { openMemoryStore } from './memory-store.ts';
import { openSqliteStore } from './sqlite-store.ts';
import { STORE_OPEN_FAILED } from './store.ts';
import type { Store } from './store.ts';

/** Put before each key in etcd unless the address says otherwise. */
const DEFAULT_ETCD_PREFIX = '/weft';

/**
 * Opens `memory:`, `sqlite:FILE` or `etcd:URL,URL...[?prefix=/weft&ca=FILE&cert=FILE&key=FILE]`.
 * @throws Fault STORE_OPEN_FAILED for any other address, and the faults of the store it names
 */
export async function openStore(deps: { clock: Clock; log: Logger }, url: string): Promise<Store> {
  const { scheme, rest } = splitStoreUrl(url);
  if (scheme === 'memory' && rest === '') return openMemoryStore(deps);
  if (scheme === 'sqlite' && rest !== '') return await openSqliteStore(deps, { path: rest });
  if (scheme === 'etcd') {
    // gRPC takes a tenth of a second to load, which the other stores need not pay.
    const { openEtcdStore } = await import('./etcd-store.ts');
    return await openEtcdStore(deps, parseEtcdUrl(rest));
  }
  const known = 'memory:, sqlite:FILE or etcd:URL,URL';
  throw new Fault(STORE_OPEN_FAILED, `no store is called ${url}; use ${known}`);
}

export function splitStoreUrl(url: string): { readonly scheme: string; readonly rest: string } {
  const colon = url.indexOf(':');
  return { scheme: url.slice(0, Math.max(0, colon)), rest: url.slice(colon + 1) };
}

/** @throws Fault STORE_OPEN_FAILED */
export function parseEtcdUrl(rest: string): EtcdStoreOptions {
  const [list = '', query = ''] = rest.split('?', 2);
  const endpoints = list.split(',').filter((endpoint) => endpoint !== '');
  const parameters = new URLSearchParams(query);
  for (const name of parameters.keys()) {
    if (['prefix', 'ca', 'cert', 'key'].includes(name)) continue;
    throw new Fault(STORE_OPEN_FAILED, `etcd: has no parameter ${name}; it has prefix, ca, cert and key`);
  }
  const file = (name: string): Record<string, Buffer> => {
    const path = parameters.get(name);
    return path === null ? {} : { [name]: readPem(path) };
  };
  const tls = { ...file('ca'), ...file('cert'), ...file('key') };
  if ('cert' in tls !== 'key' in tls) {
    throw new Fault(STORE_OPEN_FAILED, 'etcd: cert and key belong together; give both');
  }
  return { endpoints, prefix: parameters.get('prefix') ?? DEFAULT_ETCD_PREFIX, tls };
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Fault(STORE_OPEN_FAILED, `etcd: ${messageOf(error)}`, { cause: error });
  }
}
