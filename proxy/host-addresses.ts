import { networkInterfaces } from 'node:os';
import { canonicalAddress } from '../src/net/ip.ts';
import { DUMMY_DEVICE } from './ipvs/names.ts';

/** All addresses of this host but loopback, link-local and services' own ones, canonical. */
export function hostAddresses(): readonly string[] {
  const found = Object.entries(networkInterfaces())
    .filter(([name]) => name !== DUMMY_DEVICE)
    .flatMap(([, addresses]) => addresses ?? []);
  return found
    .filter(({ internal, address }) => !internal && !/^fe[89ab]/i.test(address))
    .flatMap(({ address }) => canonicalAddress(address) ?? []);
}
