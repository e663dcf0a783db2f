import type { Family } from '../../src/net/ip.ts';

/** Only these have ports, which nft wants to be told. */
export const PORTED = 'meta l4proto { tcp, udp, sctp }';

/**
 * Which client has which endpoint. nft (1.0.6 fails, others write wrong registers) gives key and value of an `update`
 * 16 bytes each, so IPv6 remembers a client by a hash of its address, which only clients of one group can share, and
 * the port in a map of its own.
 */
export function affinityMaps(family: Family): readonly (readonly [string, string])[] {
  if (family === 'IPv4') return [['affinity', 'meta priority . ip saddr : ip daddr . th dport']];
  const key = 'meta priority . numgen random mod 65536'; // a number like the hash, which nft cannot list
  return [
    ['affinity', `${key} : ip6 daddr`],
    ['affinity-ports', `${key} : th dport`],
  ];
}

const CLIENT = {
  IPv4: 'meta priority . ip saddr',
  IPv6: 'meta priority . jhash ip6 saddr mod 4294967295 seed 0x77656674',
} as const;

/** Sends a client that is remembered to the endpoint it had. */
export function renderSticky(family: Family): string {
  const client = CLIENT[family];
  return family === 'IPv4'
    ? `${PORTED} dnat ip to ${client} map @affinity`
    : `${PORTED} dnat ip6 to ${client} map @affinity : ${client} map @affinity-ports`;
}

/** Remembers where the client was sent; every new connection starts the time again. */
export function renderRemember(family: Family, timeoutSeconds: number): string[] {
  const update = (map: string, value: string): string =>
    `${PORTED} update @${map} { ${CLIENT[family]} timeout ${timeoutSeconds}s : ${value} }`;
  return family === 'IPv4'
    ? [update('affinity', 'ip daddr . th dport')]
    : [update('affinity', 'ip6 daddr'), update('affinity-ports', 'th dport')];
}
