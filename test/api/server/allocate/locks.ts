import { Buffer } from 'node:buffer';
import type { Store, StoreEntry } from '../../../../src/store/store.ts';

const ADDRESSES = '/registry/networking.k8s.io/ipaddresses/';
const CLAIMS = '/weft/claims/';

/** Cluster IPs and node ports (`TCP/30000`): what Services hold, each as often as it is held, and what is locked. */
export interface Locks {
  readonly held: readonly string[];
  readonly locked: readonly string[];
}

interface Service {
  readonly spec: {
    readonly clusterIPs?: readonly string[];
    readonly ports?: readonly { readonly protocol: string; readonly nodePort?: number }[];
  };
}

/** As the store has them. */
export async function locksOf(store: Store): Promise<Locks> {
  const entries = async (prefix: string): Promise<readonly StoreEntry[]> =>
    (await store.range(prefix)).entries;
  const services = (await entries('/registry/core/services/')).map(
    ({ value }) => JSON.parse(Buffer.from(value).toString()) as Service,
  );
  const held = services.flatMap(({ spec: { clusterIPs = [], ports = [] } }) => [
    ...clusterIPs.filter((address) => address !== 'None'),
    ...ports.flatMap(({ protocol, nodePort }) => (nodePort ? [`${protocol}/${nodePort}`] : [])),
  ]);
  const namesUnder = async (prefix: string): Promise<string[]> =>
    (await entries(prefix)).map(({ key }) => key.slice(prefix.length));
  const locked = [...(await namesUnder(ADDRESSES)), ...(await namesUnder(CLAIMS))];
  return { held: held.toSorted(), locked: locked.toSorted() };
}
