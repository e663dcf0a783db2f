import { readFileSync } from 'node:fs';
import koffi from 'koffi';
import { Fault, messageOf } from '../base/fault.ts';
import { lastErrno, socketCalls } from './libc.ts';

const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const SOL_SOCKET = 1;
const SO_ATTACH_FILTER = 26;
const SOL_PACKET = 263;
const PACKET_ADD_MEMBERSHIP = 1;
const PACKET_DROP_MEMBERSHIP = 2;
const PACKET_MR_MULTICAST = 0;
/** sockaddr_ll of packet(7): family, protocol, ifindex, hatype, pkttype, halen, addr[8]. */
const ADDRESS_BYTES = 20;
const INDEX_OFFSET = 4;
/** A frame is cut at this size; control messages of the link layer are far smaller. */
const RECEIVE_BYTES_MAX = 2_048;
/** At most so many frames in one turn of the event loop, so that a flood cannot starve the rest. */
const RECEIVE_BATCH_MAX = 64;

/** One instruction of the kernel's packet filter (struct sock_filter of linux/filter.h). */
export interface FilterStep {
  readonly code: number;
  readonly ifTrue: number;
  readonly ifFalse: number;
  readonly value: number;
}

/** Whole Ethernet frames of one protocol on one interface. */
export interface PacketSocket extends Disposable {
  /** Throws Fault PACKET_SOCKET when the interface does not take it. */
  send(frame: Uint8Array): void;
  /** Frames to a multicast hardware address are received too. */
  join(group: Uint8Array): void;
  leave(group: Uint8Array): void;
}

export interface PacketSocketOptions {
  readonly interface: string;
  readonly etherType: number;
  /** Frames it refuses never leave the kernel. */
  readonly filter?: readonly FilterStep[];
}

/** The hardware address of an interface; throws Fault INTERFACE when it has none. */
export function hardwareAddress(name: string): Uint8Array {
  try {
    const text = readFileSync(`/sys/class/net/${name}/address`, 'utf8').trim();
    const mac = Uint8Array.from(text.split(':'), (part) => Number.parseInt(part, 16));
    if (mac.length === 6) return mac;
    throw new Error(`${text} is not Ethernet's`);
  } catch (cause) {
    throw new Fault('INTERFACE', `${name} has no hardware address: ${messageOf(cause)}`, { cause });
  }
}

/**
 * Calls back with each frame; its bytes are only valid during the call. Needs the capability net_raw (packet(7)).
 * Throws Fault INTERFACE or PACKET_SOCKET.
 */
export function openPacketSocket(
  options: PacketSocketOptions,
  onFrame: (frame: Uint8Array) => void,
): PacketSocket {
  const { socket, bind, sendto, close, if_nametoindex } = socketCalls();
  const what = `frames on ${options.interface}`;
  const index = if_nametoindex(options.interface);
  if (index === 0) throw new Fault('INTERFACE', `there is no interface ${options.interface}`);
  // without a protocol nothing arrives before the filter is in place
  const fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd < 0) throw new Fault('PACKET_SOCKET', `${what}: ${lastErrno()}`);
  const address = linkAddress(options.etherType, index);
  try {
    if (options.filter) attachFilter(fd, options.filter);
    checked(bind(fd, address, address.length), what);
  } catch (error) {
    close(fd);
    throw error;
  }
  const watched = watch(fd, onFrame);
  const membership = (name: number, group: Uint8Array): void =>
    setOption(fd, SOL_PACKET, name, membershipRequest(index, group));
  return {
    send: (frame) => checked(sendto(fd, frame, frame.length, MSG_DONTWAIT, address, address.length), what),
    join: (group) => membership(PACKET_ADD_MEMBERSHIP, group),
    leave: (group) => membership(PACKET_DROP_MEMBERSHIP, group),
    [Symbol.dispose]() {
      watched[Symbol.dispose]();
      close(fd);
    },
  };
}

function checked(result: number, what: string): void {
  if (result < 0) throw new Fault('PACKET_SOCKET', `${what}: ${lastErrno()}`);
}

function watch(fd: number, onFrame: (frame: Uint8Array) => void): Disposable {
  const { recv } = socketCalls();
  const buffer = new Uint8Array(RECEIVE_BYTES_MAX);
  const handle = koffi.node.poll(fd, { readable: true }, () => {
    for (let i = 0; i < RECEIVE_BATCH_MAX; i++) {
      const sizeBytes = recv(fd, buffer, buffer.length, MSG_DONTWAIT);
      if (sizeBytes <= 0) return;
      onFrame(buffer.subarray(0, sizeBytes));
    }
  });
  return { [Symbol.dispose]: () => handle.close() };
}

function linkAddress(etherType: number, index: number): Uint8Array {
  const address = new Uint8Array(ADDRESS_BYTES);
  address.set(new Uint8Array(Uint16Array.of(AF_PACKET).buffer));
  address.set([etherType >> 8, etherType & 0xff], 2); // in the order of the network
  address.set(new Uint8Array(Int32Array.of(index).buffer), INDEX_OFFSET);
  return address;
}

/** struct packet_mreq: ifindex, type, length, address[8]. */
function membershipRequest(index: number, group: Uint8Array): Uint8Array {
  const request = new Uint8Array(16);
  request.set(new Uint8Array(Int32Array.of(index).buffer));
  request.set(new Uint8Array(Uint16Array.of(PACKET_MR_MULTICAST, group.length).buffer), 4);
  request.set(group, 8);
  return request;
}

function setOption(fd: number, level: number, name: number, value: Uint8Array): void {
  const { setsockopt } = socketCalls();
  if (setsockopt(fd, level, name, value, value.length) !== 0)
    throw new Fault('PACKET_SOCKET', `socket option ${level}/${name}: ${lastErrno()}`);
}

/** struct sock_fprog holds a pointer to the program. */
function attachFilter(fd: number, steps: readonly FilterStep[]): void {
  const program = Buffer.alloc(steps.length * 8); // outside the heap: it must not move
  for (const [i, { code, ifTrue, ifFalse, value }] of steps.entries()) {
    program.set(new Uint8Array(Uint16Array.of(code).buffer), i * 8);
    program.set([ifTrue, ifFalse], i * 8 + 2);
    program.set(new Uint8Array(Uint32Array.of(value).buffer), i * 8 + 4);
  }
  const pointer = new Uint8Array(BigUint64Array.of(koffi.address(program)).buffer);
  const prog = new Uint8Array(16);
  prog.set(new Uint8Array(Uint16Array.of(steps.length).buffer));
  prog.set(pointer, 8);
  setOption(fd, SOL_SOCKET, SO_ATTACH_FILTER, prog);
}
