import { parseAddress } from '../../src/net/ip.ts';

/** HAProxy's PROXY protocol, the header that tells an endpoint the client's address (spec 2.2 and 2.3). */
export type ProxyProtocol = 'v1' | 'v2';

export interface ConnectionAddresses {
  readonly sourceAddress: string;
  readonly sourcePort: number;
  readonly destinationAddress: string;
  readonly destinationPort: number;
}

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const VERSION_2_PROXY = 0x21;
const TCP_OVER_IPV4 = 0x11;
const TCP_OVER_IPV6 = 0x21;

/** The bytes to send before the client's own. Both addresses must be of one family. */
export function proxyHeader(version: ProxyProtocol, addresses: ConnectionAddresses): Buffer {
  return version === 'v1' ? textHeader(addresses) : binaryHeader(addresses);
}

function textHeader(a: ConnectionAddresses): Buffer {
  const family = a.sourceAddress.includes(':') ? 'TCP6' : 'TCP4';
  return Buffer.from(
    `PROXY ${family} ${a.sourceAddress} ${a.destinationAddress} ${a.sourcePort} ${a.destinationPort}\r\n`,
  );
}

function binaryHeader(a: ConnectionAddresses): Buffer {
  const source = parseAddress(a.sourceAddress);
  const destination = parseAddress(a.destinationAddress);
  if (!source || !destination || source.length !== destination.length)
    throw new TypeError(`no address pair: ${a.sourceAddress} ${a.destinationAddress}`);
  const rest = Buffer.alloc(4 + 4);
  rest[0] = VERSION_2_PROXY;
  rest[1] = source.length === 4 ? TCP_OVER_IPV4 : TCP_OVER_IPV6;
  rest.writeUInt16BE(2 * source.length + 4, 2);
  rest.writeUInt16BE(a.sourcePort, 4);
  rest.writeUInt16BE(a.destinationPort, 6);
  return Buffer.concat([SIGNATURE, rest.subarray(0, 4), source, destination, rest.subarray(4)]);
}
