import { networkInterfaces } from 'node:os';
import { canonicalAddress } from '../src/net/ip.ts';
import { DUMMY_DEVICE } from './ipvs/names.ts';

/** 127.0.0.0/8, ::1 and fe80::/10. */
const OF_NOBODY_ELSE = /^(127\.|::1$|fe[89ab])/i;

/**
 * All addresses of this host but loopback, link-local and services' own ones, canonical. Those that sit on the
 * loopback device (an address that routers announce for the whole host) come last.
 */
export function hostAddresses(): readonly string[] {
  const found = Object.entries(networkInterfaces())
    .filter(([name]) => name !== DUMMY_DEVICE)
    .flatMap(([, addresses]) => addresses ?? [])
    .filter(({ address }) => !OF_NOBODY_ELSE.test(address));
  return found
    .toSorted((a, b) => Number(a.internal) - Number(b.internal))
    .flatMap(({ address }) => canonicalAddress(address) ?? []);
}
