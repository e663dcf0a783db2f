import type { Family } from '../../src/net/ip.ts';

/**
 * How mode userspace gets at its clients. bind: a socket for each address. The others have nft bring TCP clients of service
 * addresses to one listener.
 */
export const USERSPACE_CAPTURES = ['bind', 'redirect', 'tproxy'] as const;
export type UserspaceCapture = (typeof USERSPACE_CAPTURES)[number];
export type CaptureWay = Exclude<UserspaceCapture, 'bind'>;

export const TABLE = 'weft-userspace';

/** The bit of packet marks and connection marks that sends packets of captured connections to this host itself. */
export const CAPTURED_MARK = 0x10_0000;

/** After the translation of addresses (-100): what another mode's rules still translate is not ours. */
const AFTER_NAT = -99;

export function nftFamily(family: Family): 'ip' | 'ip6' {
  return family === 'IPv4' ? 'ip' : 'ip6';
}

/** Captures connections to the elements of the set `services` for the listener at `port`. */
export function captureTable(family: Family, way: CaptureWay, port: number): string {
  const ip = nftFamily(family);
  const services = `${ip} daddr . tcp dport @services`;
  const type = family === 'IPv4' ? 'ipv4_addr' : 'ipv6_addr';
  const set = `add set ${ip} ${TABLE} services { type ${type} . inet_service; }\n`;
  return (
    holdingTable(family) +
    set +
    (way === 'redirect' ? redirect(ip, services, port) : tproxy(ip, services, port))
  );
}

/**
 * A table that captures nothing and keeps the kernel following connections: their translation ends with the last rule
 * that looks at them, and a connection that was not followed looks new to the rules of the next mode, which would break
 * it. Whatever an earlier process left is replaced in the same transaction.
 */
export function holdingTable(family: Family): string {
  const ip = nftFamily(family);
  return (
    `add table ${ip} ${TABLE}\ndelete table ${ip} ${TABLE}\nadd table ${ip} ${TABLE}\n` +
    `add chain ${ip} ${TABLE} following { type nat hook prerouting priority -100; }\n` +
    `add rule ${ip} ${TABLE} following ct status dnat accept\n`
  );
}

function redirect(ip: string, services: string, port: number): string {
  return (['prerouting', 'output'] as const)
    .map(
      (hook) =>
        `add chain ${ip} ${TABLE} ${hook} { type nat hook ${hook} priority -100; }\n` +
        `add rule ${ip} ${TABLE} ${hook} ${services} redirect to :${port}\n`,
    )
    .join('');
}

/**
 * A packet of a captured connection carries the mark, by which it is routed to this host (PolicyRoute). The connection has
 * it too: it goes on when its service is captured no more. What leaves this host turns round on lo and comes in again.
 */
function tproxy(ip: string, services: string, port: number): string {
  const [marked, mark] = ['ct', 'meta'].map((kind) => `${kind} mark set ${kind} mark or ${CAPTURED_MARK}`);
  const underWay = `ct direction original ct mark and ${CAPTURED_MARK} == ${CAPTURED_MARK}`;
  const rule = (chain: string, text: string): string => `add rule ${ip} ${TABLE} ${chain} ${text}\n`;
  return (
    `add chain ${ip} ${TABLE} prerouting { type filter hook prerouting priority ${AFTER_NAT}; }\n` +
    rule('prerouting', `${services} ${marked} ${mark} tproxy to :${port} accept`) +
    rule('prerouting', `${underWay} ${mark}`) +
    `add chain ${ip} ${TABLE} output { type route hook output priority ${AFTER_NAT}; }\n` +
    rule('output', `${services} ${marked}`) +
    rule('output', `${underWay} ${mark}`)
  );
}
