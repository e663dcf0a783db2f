import { networkInterfaces } from 'node:os';
import { canonicalAddress } from '../src/net/ip.ts';

/** All addresses of this host but loopback and link-local ones, canonical. */
export function hostAddresses(): readonly string[] {
  const found = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return found
    .filter(({ internal, address }) => !internal && !/^fe[89ab]/i.test(address))
    .flatMap(({ address }) => canonicalAddress(address) ?? []);
}
