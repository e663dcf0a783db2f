import ipaddr from 'ipaddr.js';

const DOT = 0x2e;
const ZERO = 0x30;

/** Address families by Kubernetes' names. */
export type Family = 'IPv4' | 'IPv6';

/** What has ports, as the kernel's tools write it. */
export type Transport = 'tcp' | 'udp' | 'sctp';

/** The family of a textual address, undefined when it is none. Zone suffixes and IPv4 short forms are none. */
export function familyOf(text: string): Family | undefined {
  if (parseIpv4(text, undefined)) return 'IPv4';
  return text.includes(':') && !text.includes('%') && ipaddr.IPv6.isValid(text) ? 'IPv6' : undefined;
}

/** 4 or 16 bytes, undefined when the text is no address. */
export function parseAddress(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(4);
  if (parseIpv4(text, bytes)) return bytes;
  if (!familyOf(text)) return undefined;
  return Uint8Array.from(ipaddr.parse(text).toByteArray());
}

/** Reads four decimal octets without leading zeros, in one pass: this runs for every endpoint and every A record. */
function parseIpv4(text: string, into: Uint8Array | undefined): boolean {
  if (text.length > 15) return false;
  let octet = -1;
  let count = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : DOT;
    if (code === DOT) {
      if (octet < 0 || count === 4) return false;
      if (into) into[count] = octet;
      count++;
      octet = -1;
    } else {
      const digit = code - ZERO;
      if (digit < 0 || digit > 9 || octet === 0) return false;
      octet = octet < 0 ? digit : octet * 10 + digit;
      if (octet > 255) return false;
    }
  }
  return count === 4;
}

/** Canonical text (RFC 5952 for IPv6). Equal addresses have equal canonical text. */
export function canonicalAddress(text: string): string | undefined {
  const family = familyOf(text);
  if (!family) return undefined;
  return family === 'IPv4' ? text : ipaddr.IPv6.parse(text).toRFC5952String();
}

/** Text of 4 or 16 bytes. */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
  const parsed = ipaddr.fromByteArray(Array.from(bytes));
  return parsed.kind() === 'ipv6' ? (parsed as ipaddr.IPv6).toRFC5952String() : parsed.toString();
}

/** `10.0.0.1:80` or `[fd00::1]:80`. */
export function joinHostPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Splits what joinHostPort joins; undefined when the text has no valid port. */
export function splitHostPort(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text);
  if (!match) return undefined;
  const port = Number(match[3]);
  return port > 65535 ? undefined : { host: match[1] ?? match[2] ?? '', port };
}
