import type { Endpoint } from '../../../endpoints/endpoint.ts';
import type { ServiceEntry } from '../../../endpoints/service-port.ts';
import { endpointName } from '../endpoint-name.ts';
import type { ClusterNode } from '../node.ts';
import type { ClusterOptions } from '../options.ts';
import { serviceKind } from '../service-node.ts';
import { dependsOnClient } from '../zone-order.ts';
import { AddressBlocks } from './address-blocks.ts';
import { writeAddress } from './address-bytes.ts';
import { EndpointBlocks } from './endpoint-blocks.ts';
import { changedAddresses, changedEndpoints, isBehind, type EndpointChanges } from './endpoint-diff.ts';
import { clusterIpHosts, headlessHosts, HostBlocks } from './host-blocks.ts';
import {
  A_RECORD_BYTES,
  AAAA_RECORD_BYTES,
  CONTROL,
  equalFolded,
  hashBytes,
  KIND,
  NAMESPACE_HEAD_BYTES,
  readU32,
  REF_CLUSTER_IP,
  REF_SLOW,
  SERVICE_FLAG_HIDDEN,
  SERVICE_FLAG_SLOW,
  SERVICE_HEAD_BYTES,
  writeU32,
  type TableBuffers,
} from './layout.ts';
import { packAddresses, packRecords } from './pack-records.ts';
import { TableMemory } from './table-memory.ts';

const V4_AT = 8;
const V6_AT = 16;

const LABEL = /^[a-z0-9_-]{1,63}$/;

/** Endpoints whose names are looked for one by one; more are gathered in a map first. */
const FEW = 4;

/**
 * Cluster names compiled to flat memory. `replace` costs the size of the service, and of a service with many endpoints
 * mostly the size of the difference. Readers: PackedReader.
 */
export class PackedTable {
  readonly #memory = new TableMemory();
  readonly #options: ClusterOptions;
  readonly #endpoints: EndpointBlocks;
  readonly #addresses: AddressBlocks;
  readonly #hosts: HostBlocks;
  readonly #scratch = new Uint8Array(128);

  constructor(options: ClusterOptions) {
    this.#options = options;
    this.#endpoints = new EndpointBlocks(this.#memory);
    this.#addresses = new AddressBlocks(this.#memory, (id) => this.#keyOf(id));
    this.#hosts = new HostBlocks(this.#memory);
  }

  get buffers(): TableBuffers {
    return this.#memory.buffers;
  }

  get sizes(): TableMemory['sizes'] {
    return this.#memory.sizes;
  }

  /** How much of ids and arena is in use. */
  get used(): TableMemory['used'] {
    return this.#memory.used;
  }

  /** Hears of new buffers; threads that read must be sent them. */
  onBuffers(listener: (buffers: TableBuffers) => void): Disposable {
    this.#memory.listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#memory.listeners.delete(listener) };
  }

  /** What goes into negative answers from now on. */
  settle(serial: number, synced: boolean): void {
    const { control } = this.#memory.buffers;
    Atomics.store(control, CONTROL.SERIAL, serial | 0);
    Atomics.store(control, CONTROL.SYNCED, synced ? 1 : 0);
  }

  /**
   * Brings one service from its old value to its new one; undefined = not there. A service that is not exposed keeps
   * its addresses (reverse look-ups decide for themselves) and loses its names. Readers see all of it or nothing.
   */
  replace(before: ServiceEntry | undefined, after: ServiceEntry | undefined, exposed: boolean): void {
    const { name = '', namespace = '' } = after ?? before ?? {};
    // What no API server would take, manifests may hold; no question can spell it.
    if (!LABEL.test(name) || !LABEL.test(namespace)) return;
    this.#memory.begin();
    try {
      this.#replace(before, after, exposed);
    } finally {
      this.#memory.end();
    }
  }

  #replace(before: ServiceEntry | undefined, after: ServiceEntry | undefined, exposed: boolean): void {
    const found = before ? this.#find(before) : 0;
    const old = found > 0 ? before : undefined;
    const wasHidden = found > 0 && (this.#flagsAt(found) & SERVICE_FLAG_HIDDEN) !== 0;
    if (!after) {
      if (found > 0) this.#removeService(found, before!, wasHidden);
      return;
    }
    const kind = serviceKind(after, this.#options);
    const hidden = !exposed || kind === 'absent';
    const slow = kind === 'hosts' && this.#options.zoneOrder && dependsOnClient(after);
    const id = found > 0 ? readU32(this.#memory.buffers.arena, found + 4) : this.#memory.newId();
    this.#writeService(after, found, id, hidden ? 'absent' : slow ? 'alias' : kind);
    const changed = changedEndpoints(this.#visible(old), this.#visible(after));
    const moved =
      wasHidden || hidden
        ? this.#replaceNames(id, wasHidden ? undefined : old, hidden ? undefined : after)
        : this.#endpoints.replace(id, changed, this.#visible(after), this.#nameOf);
    this.#replaceAddresses(id, old, after, changed, moved);
    this.#writeHosts(id, after, !hidden && !slow && kind === 'hosts');
  }

  /** A namespace that clients can see; names of services do not depend on it. */
  setNamespace(name: string, exposed: boolean): void {
    if (!LABEL.test(name)) return;
    const length = name.length;
    for (let i = 0; i < length; i++) this.#scratch[i] = name.charCodeAt(i);
    const hash = hashBytes(KIND.NAMESPACE, this.#scratch, 0, length);
    const { arena } = this.#memory.buffers;
    const found = this.#memory.find(
      hash,
      (offset) =>
        arena[offset] === KIND.NAMESPACE &&
        arena[offset + 1] === length &&
        equalFolded(this.#scratch, 0, arena, offset + NAMESPACE_HEAD_BYTES, length),
    );
    if (found > 0 === exposed) return;
    this.#memory.begin();
    try {
      if (exposed) this.#addNamespace(hash, length);
      else {
        this.#memory.remove(hash, found);
        this.#memory.release(found, NAMESPACE_HEAD_BYTES + length);
      }
    } finally {
      this.#memory.end();
    }
  }

  /** The namespaces that were set. */
  *namespaces(): Iterable<string> {
    const { index, arena } = this.#memory.buffers;
    for (let i = 1; i < index.length; i += 2) {
      const offset = index[i]!;
      if (offset > 0 && arena[offset] === KIND.NAMESPACE) yield labelAt(arena, offset + 1);
    }
  }

  /** Whose label stands in the scratch. */
  #addNamespace(hash: number, length: number): void {
    const offset = this.#memory.allocate(NAMESPACE_HEAD_BYTES + length);
    const { arena } = this.#memory.buffers;
    arena[offset] = KIND.NAMESPACE;
    arena[offset + 1] = length;
    arena.set(this.#scratch.subarray(0, length), offset + NAMESPACE_HEAD_BYTES);
    this.#memory.insert(hash, offset);
  }

  /** `namespace/name` of every service that has this address, in the order of their keys. */
  keysAt(address: string): string[] {
    return this.#addresses.idsAt(address).map((id) => this.#keyOf(id));
  }

  addresses(): Iterable<string> {
    return this.#addresses.all();
  }

  #flagsAt(service: number): number {
    return this.#memory.buffers.arena[service + 2]!;
  }

  #find({ name, namespace }: ServiceEntry): number {
    const length = writeKey(name, namespace, this.#scratch);
    const hash = hashBytes(KIND.SERVICE, this.#scratch, 0, length);
    const { arena } = this.#memory.buffers;
    return this.#memory.find(
      hash,
      (offset) =>
        arena[offset] === KIND.SERVICE &&
        arena[offset + 1] === length &&
        equalFolded(this.#scratch, 0, arena, offset + SERVICE_HEAD_BYTES, length),
    );
  }

  #writeService(entry: ServiceEntry, found: number, id: number, kind: ClusterNode['kind']): void {
    const length = writeKey(entry.name, entry.namespace, this.#scratch);
    let offset = found;
    if (found === 0) {
      offset = this.#memory.allocate(SERVICE_HEAD_BYTES + length);
      this.#memory.insert(hashBytes(KIND.SERVICE, this.#scratch, 0, length), offset);
      const { arena, ids } = this.#memory.buffers;
      arena.fill(0, offset, offset + SERVICE_HEAD_BYTES);
      arena[offset] = KIND.SERVICE;
      arena[offset + 1] = length;
      writeU32(arena, offset + 4, id);
      arena.set(this.#scratch.subarray(0, length), offset + SERVICE_HEAD_BYTES);
      ids[id] = offset;
    }
    const flags = kind === 'hosts' ? 0 : SERVICE_FLAG_SLOW;
    this.#memory.buffers.arena[offset + 2] = kind === 'absent' ? SERVICE_FLAG_HIDDEN : flags;
    const addresses = kind === 'hosts' ? this.#addressesOf(entry) : { v4: [], v6: [] };
    this.#writeAddresses(offset, V4_AT, addresses.v4, A_RECORD_BYTES);
    this.#writeAddresses(offset, V6_AT, addresses.v6, AAAA_RECORD_BYTES);
  }

  /** Distinct addresses of the service's own name. */
  #addressesOf(entry: ServiceEntry): { v4: string[]; v6: string[] } {
    const v4: string[] = [];
    const v6: string[] = [];
    let last = '';
    const add = (address: string): void => {
      if (address !== last) (address.includes(':') ? v6 : v4).push(address);
      last = address;
    };
    if (!entry.headless) entry.clusterIPs.forEach(add);
    else for (const endpoint of entry.endpoints) if (endpoint.ready) add(endpoint.address);
    return { v4, v6 };
  }

  #writeAddresses(service: number, at: number, addresses: readonly string[], recordBytes: number): void {
    const inline = recordBytes === A_RECORD_BYTES && addresses.length === 1;
    const size = addresses.length * recordBytes;
    this.#releaseRecords(service, at, recordBytes, inline ? 0 : addresses.length);
    if (inline) {
      writeAddress(addresses[0]!, this.#memory.buffers.arena, service + at);
    } else if (addresses.length > 0) {
      const kept = readU32(this.#memory.buffers.arena, service + at);
      const block = kept || this.#memory.allocate(size);
      const { arena } = this.#memory.buffers;
      const records = arena.subarray(block, block + size);
      if (kept) packAddresses(addresses, recordBytes, records);
      else packRecords(addresses, this.#options.ttlSeconds, recordBytes, records);
      writeU32(arena, service + at, block);
    }
    writeU32(this.#memory.buffers.arena, service + at + 4, addresses.length);
  }

  /** Gives back the records of a field unless a block of the same size is wanted again. */
  #releaseRecords(service: number, at: number, recordBytes: number, wanted: number): void {
    const { arena } = this.#memory.buffers;
    const count = readU32(arena, service + at + 4);
    const inline = recordBytes === A_RECORD_BYTES && count === 1;
    if (!inline && count > 0) {
      if (count === wanted) return;
      this.#memory.release(readU32(arena, service + at), count * recordBytes);
    }
    writeU32(arena, service + at, 0);
  }

  readonly #nameOf = (endpoint: Endpoint): string => endpointName(endpoint, this.#options.endpointPodNames);

  #replaceNames(
    id: number,
    before: ServiceEntry | undefined,
    after: ServiceEntry | undefined,
  ): ReadonlySet<string> {
    const changed = changedEndpoints(this.#visible(before), this.#visible(after));
    return this.#endpoints.replace(id, changed, this.#visible(after), this.#nameOf);
  }

  #writeHosts(id: number, entry: ServiceEntry, shown: boolean): void {
    const service = this.#memory.buffers.ids[id]!;
    if (!shown) return this.#hosts.release(service);
    const hosts = entry.headless
      ? headlessHosts(this.#visible(entry), (endpoint) => this.#refOf(id, this.#nameOf(endpoint)))
      : clusterIpHosts(entry);
    this.#hosts.write(service, hosts);
  }

  /** The block of an endpoint's name; names that are not folded are none of the table's. */
  #refOf(id: number, name: string): number {
    return name === name.toLowerCase() ? this.#endpoints.find(id, name) : REF_SLOW;
  }

  #replaceAddresses(
    id: number,
    before: ServiceEntry | undefined,
    after: ServiceEntry | undefined,
    changed: EndpointChanges,
    moved: ReadonlySet<string>,
  ): void {
    const [old, now] = [this.#visible(before), this.#visible(after)];
    const { goneAddresses, newAddresses } = changedAddresses(changed, old, now);
    const own = after?.clusterIPs ?? [];
    const ownBefore = before?.clusterIPs ?? [];
    const touched = new Set([...newAddresses, ...moved, ...ownBefore]);
    for (const address of own) touched.delete(address);
    const names = this.#namesAt(touched, now);
    const unused = ownBefore.filter((address) => !isBehind(now, address));
    for (const address of [...unused, ...goneAddresses]) {
      if (!own.includes(address)) this.#addresses.delete(address, id);
    }
    for (const address of own) this.#addresses.set(address, id, REF_CLUSTER_IP);
    for (const [address, name] of names) {
      this.#addresses.set(address, id, name === undefined ? REF_SLOW : this.#refOf(id, name));
    }
  }

  /** The name of the ready endpoints at each of these addresses; undefined = more than one. */
  #namesAt(
    addresses: ReadonlySet<string>,
    endpoints: readonly Endpoint[],
  ): ReadonlyMap<string, string | undefined> {
    const names = new Map<string, string | undefined>();
    const few = addresses.size <= FEW ? [...addresses] : undefined;
    if (addresses.size === 0) return names;
    for (const endpoint of endpoints) {
      const { ready, address } = endpoint;
      if (!ready || !(few ? few.includes(address) : addresses.has(address))) continue;
      const name = this.#nameOf(endpoint);
      names.set(address, names.has(address) && names.get(address) !== name ? undefined : name);
    }
    return names;
  }

  #visible(entry: ServiceEntry | undefined): readonly Endpoint[] {
    return entry && !this.#options.noEndpoints ? entry.endpoints : [];
  }

  #removeService(offset: number, before: ServiceEntry, wasHidden: boolean): void {
    const id = readU32(this.#memory.buffers.arena, offset + 4);
    const moved = this.#replaceNames(id, wasHidden ? undefined : before, undefined);
    const gone = before.endpoints.filter(({ ready }) => ready);
    this.#replaceAddresses(id, before, undefined, { gone, fresh: [] }, moved);
    this.#hosts.release(offset);
    const { arena } = this.#memory.buffers;
    this.#releaseRecords(offset, V4_AT, A_RECORD_BYTES, 0);
    this.#releaseRecords(offset, V6_AT, AAAA_RECORD_BYTES, 0);
    const length = arena[offset + 1]!;
    const key = offset + SERVICE_HEAD_BYTES;
    this.#memory.remove(hashBytes(KIND.SERVICE, arena, key, key + length), offset);
    this.#memory.release(offset, SERVICE_HEAD_BYTES + length);
    this.#memory.freeId(id);
  }

  #keyOf(id: number): string {
    const { arena, ids } = this.#memory.buffers;
    const name = ids[id]! + SERVICE_HEAD_BYTES;
    const namespace = name + arena[name]! + 1;
    return `${labelAt(arena, namespace)}/${labelAt(arena, name)}`;
  }
}

function labelAt(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at + 1, at + 1 + bytes[at]!));
}

/** Two labels in wire form, folded; returns their length. */
function writeKey(name: string, namespace: string, out: Uint8Array): number {
  let at = 0;
  for (const label of [name, namespace]) {
    out[at++] = label.length;
    for (let i = 0; i < label.length; i++) {
      const code = label.charCodeAt(i);
      out[at++] = code >= 0x41 && code <= 0x5a ? code | 0x20 : code;
    }
  }
  return at;
}
