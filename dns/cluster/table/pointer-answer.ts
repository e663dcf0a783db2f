import { entryAt } from './address-blocks.ts';
import { labelAt } from './endpoint-blocks.ts';
import {
  KIND,
  readU16,
  readU32,
  REF_CLUSTER_IP,
  REF_SLOW,
  SERVICE_FLAG_HIDDEN,
  SERVICE_FLAG_SLOW,
  SERVICE_HEAD_BYTES,
  type TableBuffers,
} from './layout.ts';
import { TYPE } from './raw-question.ts';
import type { ReplyWriter } from './reply-writer.ts';

const SVC = Uint8Array.of(3, ...Buffer.from('svc'));
const OWNER_OF_QUESTION = 12;
/** An address behind more services than this is the slow path's. */
const TARGETS_MAX = 16;

/** The PTR answers of an address: its service, if it is a ClusterIP, else an endpoint's name below each service. */
export class PointerAnswer {
  answers = 0;
  cut = false;
  /** Where the namespace of each target is spelled, if it is. */
  readonly #namespaceAt = new Uint16Array(TARGETS_MAX);
  /** And where its label stands in the arena. */
  readonly #namespaces = new Uint32Array(TARGETS_MAX);
  #svcAt = 0;

  /** False when the slow path must be asked. */
  write(
    { arena, ids }: TableBuffers,
    block: number,
    primaryZone: Uint8Array,
    ttl: number,
    writer: ReplyWriter,
  ): boolean {
    this.answers = 0;
    this.cut = false;
    const count = readU16(arena, block + 2);
    if (count > TARGETS_MAX) return false;
    let own = -1;
    for (let i = count - 1; i >= 0; i--) {
      const at = entryAt(block, i);
      const service = ids[readU32(arena, at)] ?? 0;
      const ref = readU32(arena, at + 4);
      if (service === 0 || (arena[service + 2]! & (SERVICE_FLAG_HIDDEN | SERVICE_FLAG_SLOW)) !== 0)
        return false;
      if (ref === REF_SLOW || (ref !== REF_CLUSTER_IP && arena[ref] !== KIND.ENDPOINT)) return false;
      if (ref === REF_CLUSTER_IP) own = i;
    }
    for (let i = Math.max(0, own); i < count && !this.cut; i++) {
      const at = entryAt(block, i);
      const ref = own >= 0 ? 0 : readU32(arena, at + 4);
      this.#target(arena, ids[readU32(arena, at)]!, ref, primaryZone, ttl, writer);
      if (own >= 0) break;
    }
    return true;
  }

  #target(
    arena: Uint8Array,
    service: number,
    ref: number,
    zone: Uint8Array,
    ttl: number,
    writer: ReplyWriter,
  ): void {
    const start = writer.at;
    writer.pointer(OWNER_OF_QUESTION);
    const data = writer.openRecord(TYPE.PTR, ttl);
    if (ref !== 0) {
      const length = arena[ref + 1]!;
      writer.byte(length);
      writer.copy(arena, labelAt(arena, ref), length);
    }
    const name = service + SERVICE_HEAD_BYTES;
    const namespace = name + arena[name]! + 1;
    writer.copy(arena, name, namespace - name);
    this.#namespaces[this.answers] = namespace;
    this.#namespaceAt[this.answers] = this.#writeNamespace(arena, namespace, zone, writer);
    writer.closeData(data);
    this.cut = !writer.keep(start);
    if (!this.cut) this.answers++;
  }

  /** The rest of a target, or a pointer to where it was spelled before. Returns where it stands. */
  #writeNamespace(arena: Uint8Array, namespace: number, zone: Uint8Array, writer: ReplyWriter): number {
    const length = arena[namespace]! + 1;
    for (let i = 0; i < this.answers; i++) {
      if (!sameLabel(arena, namespace, this.#namespaces[i]!)) continue;
      writer.pointer(this.#namespaceAt[i]!);
      return this.#namespaceAt[i]!;
    }
    const at = writer.at;
    writer.copy(arena, namespace, length);
    if (this.answers > 0) writer.pointer(this.#svcAt);
    else {
      this.#svcAt = writer.at;
      writer.copy(SVC, 0, SVC.length);
      writer.copy(zone, 0, zone.length);
    }
    return at;
  }
}

function sameLabel(arena: Uint8Array, a: number, b: number): boolean {
  const length = arena[a]!;
  for (let i = 0; i <= length; i++) if (arena[a + i] !== arena[b + i]) return false;
  return true;
}

/**
 * Reads the address of so many bytes that a name of the reverse tree spells, from the labels that start at `starts`.
 * False when it spells none, or one that has other spellings.
 */
export function readReverseName(
  bytes: Uint8Array,
  starts: Uint16Array,
  labels: number,
  addressBytes: number,
  out: Uint8Array,
): boolean {
  if (addressBytes === 4) return labels === 6 && readReverseV4(bytes, starts, out);
  return labels === 34 && readReverseV6(bytes, starts, out);
}

function readReverseV4(bytes: Uint8Array, starts: Uint16Array, out: Uint8Array): boolean {
  for (let i = 0; i < 4; i++) {
    const start = starts[i]!;
    const length = bytes[start]!;
    if (length > 3 || (length > 1 && bytes[start + 1] === 0x30)) return false;
    let octet = 0;
    for (let j = 1; j <= length; j++) {
      const digit = bytes[start + j]! - 0x30;
      if (digit < 0 || digit > 9) return false;
      octet = octet * 10 + digit;
    }
    if (octet > 255) return false;
    out[3 - i] = octet;
  }
  return true;
}

function readReverseV6(bytes: Uint8Array, starts: Uint16Array, out: Uint8Array): boolean {
  for (let i = 0; i < 32; i++) {
    const start = starts[i]!;
    const nibble = bytes[start] === 1 ? nibbleOf(bytes[start + 1]!) : -1;
    if (nibble < 0) return false;
    const at = 15 - (i >> 1);
    if ((i & 1) === 0) out[at] = nibble;
    else out[at]! |= nibble << 4;
  }
  // an IPv4 address in IPv6 clothes
  return out[10] !== 0xff || out[11] !== 0xff;
}

function nibbleOf(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
