import { labelAt } from './endpoint-blocks.ts';
import {
  equalFolded,
  HOSTS_HEAD_BYTES,
  HOSTS_SLOW,
  NO_PORT,
  readU16,
  readU32,
  SERVICE_HEAD_BYTES,
  SERVICE_HOSTS_AT,
} from './layout.ts';
import type { ReplyWriter } from './reply-writer.ts';
import { TYPE } from './raw-question.ts';

const SVC = Uint8Array.of(3, ...Buffer.from('svc'));
const UNDERSCORE = 0x5f;
const OWNER_OF_QUESTION = 12;
const HOSTS_MAX = 255;
const NAME_BYTES_MAX = 255;

/** Ports that a question may ask for, besides the index of one. */
export const ANY_PORT = -1;
export const NO_SUCH_PORT = -2;

/** Where the zone of a question is spelled, and its name. */
export interface AskedName {
  readonly bytes: Uint8Array;
  readonly nameEnd: number;
  readonly zoneAt: number;
}

/**
 * The SRV answers of one service out of its hosts block: one record for each distinct port and target, then the
 * addresses of the targets. Bytes are those of the slow path's encoder.
 */
export class SrvAnswer {
  answers = 0;
  additionals = 0;
  /** Records of the answer section were left out. */
  cut = false;
  /** Only addresses of targets were left out. */
  cutGlue = false;
  /** The answer needs what the table does not hold. */
  slow = false;
  readonly #ports = new Uint16Array(HOSTS_MAX);
  readonly #refs = new Uint32Array(HOSTS_MAX);
  readonly #targets = new Uint16Array(HOSTS_MAX);
  readonly #glued = new Uint8Array(HOSTS_MAX);

  /** Writes both sections for the hosts of this port (or ANY_PORT) below this endpoint (0 = all). */
  write(
    arena: Uint8Array,
    service: number,
    port: number,
    ref: number,
    asked: AskedName,
    ttl: number,
    writer: ReplyWriter,
  ): void {
    this.answers = 0;
    this.additionals = 0;
    this.cut = false;
    this.cutGlue = false;
    this.slow = false;
    const block = readU32(arena, service + SERVICE_HOSTS_AT);
    const total = listingsOf(arena, block, port, ref);
    const weight = Math.max(1, Math.floor(100 / total));
    const count = arena[block + 4]!;
    for (let i = 0; i < count && !this.cut && !this.slow; i++) {
      const host = hostAt(arena, block, i);
      if (!matches(arena, host, port, ref) || arena[host + 6] === NO_PORT) continue;
      this.#service(arena, service, host, weight, asked, ttl, writer);
    }
    for (let i = 0; i < count && !this.cut && !this.cutGlue && !this.slow; i++) {
      const host = hostAt(arena, block, i);
      if (!matches(arena, host, port, ref) || arena[host + 6] === NO_PORT) continue;
      this.#address(arena, block, i, service, asked, ttl, writer);
    }
  }

  #service(
    arena: Uint8Array,
    service: number,
    host: number,
    weight: number,
    asked: AskedName,
    ttl: number,
    writer: ReplyWriter,
  ): void {
    const ref = readU32(arena, host);
    const port = readU16(arena, host + 4);
    for (let i = 0; i < this.answers; i++) if (this.#ports[i] === port && this.#refs[i] === ref) return;
    const start = writer.at;
    writer.pointer(OWNER_OF_QUESTION);
    const data = writer.openRecord(TYPE.SRV, ttl);
    writer.u16(0);
    writer.u16(weight);
    writer.u16(port);
    const target = writer.at;
    this.slow = !writer.pointable;
    writeTarget(arena, service, ref, asked, writer);
    if (writer.at - target > NAME_BYTES_MAX) this.slow = true;
    writer.closeData(data);
    this.cut = !writer.keep(start);
    if (this.cut) return;
    this.#ports[this.answers] = port;
    this.#refs[this.answers] = ref;
    this.#targets[this.answers++] = target;
  }

  #address(
    arena: Uint8Array,
    block: number,
    i: number,
    service: number,
    asked: AskedName,
    ttl: number,
    writer: ReplyWriter,
  ): void {
    const host = hostAt(arena, block, i);
    const ref = readU32(arena, host);
    const six = (arena[host + 7]! & 1) === 1;
    const size = six ? 16 : 4;
    for (let k = 0; k < this.additionals; k++) {
      const other = hostAt(arena, block, this.#glued[k]!);
      if (readU32(arena, other) === ref && sameAddress(arena, host, other, size)) return;
    }
    const start = writer.at;
    writer.pointer(this.#ownerOf(arena, service, ref, asked, writer.out));
    const data = writer.openRecord(six ? TYPE.AAAA : TYPE.A, ttl);
    writer.copy(arena, host + 8, size);
    writer.closeData(data);
    this.cutGlue = !writer.keep(start);
    if (!this.cutGlue) this.#glued[this.additionals++] = i;
  }

  /** Where the target of this endpoint was spelled first: in the question if it is spelled the same there. */
  #ownerOf(arena: Uint8Array, service: number, ref: number, asked: AskedName, out: Uint8Array): number {
    let at = 0;
    while (at < this.answers && this.#refs[at] !== ref) at++;
    const target = this.#targets[at] ?? 0;
    const length = asked.nameEnd - OWNER_OF_QUESTION;
    for (let i = 0; i < length; i++) {
      if (out[target + i] !== asked.bytes[OWNER_OF_QUESTION + i]) return target;
    }
    return OWNER_OF_QUESTION;
  }
}

/** True when the hosts of the service are in the table. */
export function hasHosts(arena: Uint8Array, service: number): boolean {
  return readU32(arena, service + SERVICE_HOSTS_AT) > HOSTS_SLOW;
}

/** The sum of the listings of the hosts of this port and endpoint; 0 = there are none. */
export function listingsOf(arena: Uint8Array, block: number, port: number, ref: number): number {
  let total = 0;
  const count = arena[block + 4]!;
  for (let i = 0; i < count; i++) {
    const host = hostAt(arena, block, i);
    if (matches(arena, host, port, ref)) total += arena[host + 7]! >> 1;
  }
  return total;
}

/** The index of the port that the labels at `portAt` and `protocolAt` name, underscores optional. */
export function portIndex(
  arena: Uint8Array,
  service: number,
  bytes: Uint8Array,
  portAt: number,
  protocolAt: number,
): number {
  const block = readU32(arena, service + SERVICE_HOSTS_AT);
  let at = hostAt(arena, block, arena[block + 4]!);
  const ports = arena[block + 5]!;
  for (let i = 0; i < ports; i++) {
    const name = at + 1 + arena[at]!;
    if (isWord(arena, at, bytes, protocolAt) && isWord(arena, name, bytes, portAt)) return i;
    at = name + 1 + arena[name]!;
  }
  return NO_SUCH_PORT;
}

/** True when the label names the protocol of a port that has a name. */
export function isProtocol(arena: Uint8Array, service: number, bytes: Uint8Array, label: number): boolean {
  const block = readU32(arena, service + SERVICE_HOSTS_AT);
  let at = hostAt(arena, block, arena[block + 4]!);
  const ports = arena[block + 5]!;
  for (let i = 0; i < ports; i++) {
    const name = at + 1 + arena[at]!;
    if (arena[name] !== 0 && isWord(arena, at, bytes, label)) return true;
    at = name + 1 + arena[name]!;
  }
  return false;
}

/** The only host of this port in one family; 0 = none, -1 = several addresses. */
export function singleHost(arena: Uint8Array, service: number, port: number, six: boolean): number {
  const block = readU32(arena, service + SERVICE_HOSTS_AT);
  const count = arena[block + 4]!;
  let found = 0;
  for (let i = 0; i < count; i++) {
    const host = hostAt(arena, block, i);
    if (!matches(arena, host, port, 0) || ((arena[host + 7]! & 1) === 1) !== six) continue;
    if (found !== 0 && !sameAddress(arena, host, found, six ? 16 : 4)) return -1;
    found = host;
  }
  return found;
}

function hostAt(arena: Uint8Array, block: number, i: number): number {
  return block + HOSTS_HEAD_BYTES + i * arena[block + 6]!;
}

function matches(arena: Uint8Array, host: number, port: number, ref: number): boolean {
  return (port === ANY_PORT || arena[host + 6] === port) && (ref === 0 || readU32(arena, host) === ref);
}

function sameAddress(arena: Uint8Array, a: number, b: number, size: number): boolean {
  if ((arena[a + 7]! & 1) !== (arena[b + 7]! & 1)) return false;
  for (let i = 0; i < size; i++) if (arena[a + 8 + i] !== arena[b + 8 + i]) return false;
  return true;
}

/** `[endpoint.]service.namespace.svc.zone`, the zone as it was asked. */
function writeTarget(
  arena: Uint8Array,
  service: number,
  ref: number,
  { bytes, nameEnd, zoneAt }: AskedName,
  writer: ReplyWriter,
): void {
  if (ref !== 0) {
    const length = arena[ref + 1]!;
    writer.byte(length);
    writer.copy(arena, labelAt(arena, ref), length);
  }
  writer.copy(arena, service + SERVICE_HEAD_BYTES, arena[service + 1]!);
  writer.copy(SVC, 0, SVC.length);
  writer.copy(bytes, zoneAt, nameEnd - zoneAt);
}

/** Compares a label of the question, one leading underscore aside, with a word of the table. */
function isWord(arena: Uint8Array, word: number, bytes: Uint8Array, label: number): boolean {
  const skip = bytes[label]! > 0 && bytes[label + 1] === UNDERSCORE ? 1 : 0;
  const length = bytes[label]! - skip;
  return arena[word] === length && equalFolded(bytes, label + 1 + skip, arena, word + 1, length);
}
