import { formatAddress, joinHostPort, parseAddress, splitHostPort, type Transport } from '../ip.ts';
import { type IpvsChange, type IpvsServer, type ServerKey, serverKey, serverPlace } from '../ipvs.ts';
import { Fault } from '../../base/fault.ts';
import { attributeAt, attributesOf, type MessageWriter } from './message.ts';

/** linux/ip_vs.h: the commands of the generic family IPVS and their attributes. */
export const IPVS_COMMAND = {
  NEW_SERVICE: 1,
  SET_SERVICE: 2,
  DEL_SERVICE: 3,
  GET_SERVICE: 4,
  NEW_DEST: 5,
  SET_DEST: 6,
  DEL_DEST: 7,
  GET_DEST: 8,
  SET_CONFIG: 12,
} as const;
export const IPVS_ATTRIBUTE = {
  SERVICE: 1,
  DEST: 2,
  TIMEOUT_TCP: 4,
  TIMEOUT_TCP_FIN: 5,
  TIMEOUT_UDP: 6,
} as const;
const SERVICE = {
  AF: 1,
  PROTOCOL: 2,
  ADDR: 3,
  PORT: 4,
  SCHED_NAME: 6,
  FLAGS: 7,
  TIMEOUT: 8,
  NETMASK: 9,
} as const;
const DEST = {
  ADDR: 1,
  PORT: 2,
  FWD_METHOD: 3,
  WEIGHT: 4,
  U_THRESH: 5,
  L_THRESH: 6,
  ACTIVE_CONNS: 7,
  INACT_CONNS: 8,
  STATS64: 12,
} as const;
const STATS = { CONNS: 1, INBYTES: 4, OUTBYTES: 5 } as const;

const AF = { INET: 2, INET6: 10 } as const;
const PROTOCOL: Readonly<Record<Transport, number>> = { tcp: 6, udp: 17, sctp: 132 };
const PERSISTENT = 0x1;
const ALL_FLAGS = 0xffff_ffff;
const SCHEDULER_FLAGS = [0x8, 0x10, 0x20] as const;
const FORWARD_MASQUERADE = 0;
/** The sources that count as one client: each address. */
const NETMASK = { IPv4: 0xffff_ffff, IPv6: 128 } as const;

/** struct genlmsghdr: command, version, padding. */
export const GENERIC_HEADER_BYTES = 4;

const COMMAND: Readonly<Record<IpvsChange['verb'], number>> = {
  'add-server': IPVS_COMMAND.NEW_SERVICE,
  'edit-server': IPVS_COMMAND.SET_SERVICE,
  'delete-server': IPVS_COMMAND.DEL_SERVICE,
  'add-real': IPVS_COMMAND.NEW_DEST,
  'edit-real': IPVS_COMMAND.SET_DEST,
  'delete-real': IPVS_COMMAND.DEL_DEST,
};

/** A real server and what it has carried since it was added. */
export interface RealServer {
  /** `ip:port`. */
  readonly real: string;
  readonly weight: number;
  /** Connections at this moment, closing ones too. */
  readonly active: number;
  readonly connections: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Begins a message of a generic family; gives its sequence number. */
export function beginGeneric(out: MessageWriter, family: number, command: number, flags: number): number {
  const sequence = out.begin(family, flags);
  out.raw(Uint8Array.of(command, 1, 0, 0));
  return sequence;
}

/** @param family the number that the kernel gave the family IPVS @returns the message's sequence number */
export function writeIpvsChange(
  out: MessageWriter,
  family: number,
  change: IpvsChange,
  flags: number,
): number {
  const sequence = beginGeneric(out, family, COMMAND[change.verb], flags);
  out.nest(IPVS_ATTRIBUTE.SERVICE, () => {
    writeServerKey(out, change.key);
    if ('server' in change) writeServer(out, change.key, change.server);
  });
  if ('real' in change)
    out.nest(IPVS_ATTRIBUTE.DEST, () =>
      writeReal(out, change.real, 'weight' in change ? change.weight : undefined),
    );
  out.end();
  return sequence;
}

/** The attributes that name a virtual server. */
export function writeServerKey(out: MessageWriter, key: ServerKey): void {
  const { protocol, address, port } = serverPlace(key);
  const bytes = bytesOf(address);
  out.u16(SERVICE.AF, bytes.length === 4 ? AF.INET : AF.INET6);
  out.u16(SERVICE.PROTOCOL, PROTOCOL[protocol]);
  out.bytes(SERVICE.ADDR, bytes);
  out.u16be(SERVICE.PORT, port);
}

function writeServer(out: MessageWriter, key: ServerKey, server: IpvsServer): void {
  const { scheduler, persistSeconds, flags } = server;
  const bits = (persistSeconds > 0 ? PERSISTENT : 0) | flagBits(flags);
  out.text(SERVICE.SCHED_NAME, scheduler);
  out.bytes(SERVICE.FLAGS, new Uint8Array(Uint32Array.of(bits, ALL_FLAGS).buffer));
  out.u32(SERVICE.TIMEOUT, persistSeconds);
  out.u32(SERVICE.NETMASK, key.includes('[') ? NETMASK.IPv6 : NETMASK.IPv4);
}

function writeReal(out: MessageWriter, real: string, weight: number | undefined): void {
  const place = splitHostPort(real);
  out.bytes(DEST.ADDR, bytesOf(place?.host ?? ''));
  out.u16be(DEST.PORT, place?.port ?? 0);
  if (weight === undefined) return;
  out.u32(DEST.FWD_METHOD, FORWARD_MASQUERADE);
  out.u32(DEST.WEIGHT, weight);
  out.u32(DEST.U_THRESH, 0);
  out.u32(DEST.L_THRESH, 0);
}

function bytesOf(address: string): Uint8Array {
  const bytes = parseAddress(address);
  if (!bytes) throw new Fault('IPVS_FAILED', `"${address}" is no address`);
  return bytes;
}

/** A virtual server out of an answer; undefined for those of firewall marks and of other protocols. */
export function readServer(payload: Uint8Array): { key: ServerKey; server: IpvsServer } | undefined {
  const service = attributeAt(payload, [IPVS_ATTRIBUTE.SERVICE], GENERIC_HEADER_BYTES);
  if (!service) return undefined;
  const fields = new Map(attributesOf(service));
  const address = readAddress(fields.get(SERVICE.ADDR), u16(fields.get(SERVICE.AF)));
  const number = u16(fields.get(SERVICE.PROTOCOL));
  const [protocol] = Object.entries(PROTOCOL).find(([, each]) => each === number) ?? [];
  if (address === undefined || protocol === undefined) return undefined;
  const scheduler = text(fields.get(SERVICE.SCHED_NAME));
  const bits = u32(fields.get(SERVICE.FLAGS));
  const persistSeconds = bits & PERSISTENT ? u32(fields.get(SERVICE.TIMEOUT)) : 0;
  return {
    key: serverKey(protocol as Transport, address, u16be(fields.get(SERVICE.PORT))),
    server: { scheduler, persistSeconds, flags: flagNames(scheduler, bits) },
  };
}

/** A real server out of an answer; its family is that of the virtual server that was asked for. */
export function readReal(payload: Uint8Array, isIPv6: boolean): RealServer | undefined {
  const dest = attributeAt(payload, [IPVS_ATTRIBUTE.DEST], GENERIC_HEADER_BYTES);
  if (!dest) return undefined;
  const fields = new Map(attributesOf(dest));
  const address = readAddress(fields.get(DEST.ADDR), isIPv6 ? AF.INET6 : AF.INET);
  if (address === undefined) return undefined;
  const stats = new Map(attributesOf(fields.get(DEST.STATS64) ?? new Uint8Array()));
  return {
    real: joinHostPort(address, u16be(fields.get(DEST.PORT))),
    weight: u32(fields.get(DEST.WEIGHT)),
    active: u32(fields.get(DEST.ACTIVE_CONNS)) + u32(fields.get(DEST.INACT_CONNS)),
    connections: u64(stats.get(STATS.CONNS)),
    bytesIn: u64(stats.get(STATS.INBYTES)),
    bytesOut: u64(stats.get(STATS.OUTBYTES)),
  };
}

/** ipvsadm's words for the three bits that a scheduler may give a meaning. */
function flagNames(scheduler: string, bits: number): string {
  const hashes = scheduler === 'mh' || scheduler === 'sh';
  const names = hashes
    ? [`${scheduler}-fallback`, `${scheduler}-port`, 'flag-3']
    : ['flag-1', 'flag-2', 'flag-3'];
  return names.filter((_, i) => bits & (SCHEDULER_FLAGS[i] ?? 0)).join(',');
}

function flagBits(flags: string): number {
  let bits = 0;
  for (const name of flags === '' ? [] : flags.split(',')) {
    const index = /-fallback$|-1$/.test(name) ? 0 : /-port$|-2$/.test(name) ? 1 : 2;
    bits |= SCHEDULER_FLAGS[index];
  }
  return bits;
}

function readAddress(bytes: Uint8Array | undefined, af: number): string | undefined {
  const size = af === AF.INET6 ? 16 : 4;
  if (!bytes || bytes.length < size || (af !== AF.INET && af !== AF.INET6)) return undefined;
  return formatAddress(bytes.subarray(0, size));
}

function view(bytes: Uint8Array | undefined, sizeBytes: number): DataView | undefined {
  if (!bytes || bytes.length < sizeBytes) return undefined;
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

const u16 = (bytes: Uint8Array | undefined): number => view(bytes, 2)?.getUint16(0, true) ?? 0;
const u16be = (bytes: Uint8Array | undefined): number => view(bytes, 2)?.getUint16(0) ?? 0;
const u32 = (bytes: Uint8Array | undefined): number => view(bytes, 4)?.getUint32(0, true) ?? 0;
const u64 = (bytes: Uint8Array | undefined): number => Number(view(bytes, 8)?.getBigUint64(0, true) ?? 0n);

function text(bytes: Uint8Array | undefined): string {
  return bytes ? Buffer.from(bytes).toString('latin1').split('\0')[0]! : '';
}
