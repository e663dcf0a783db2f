import type { Endpoint } from '../../../endpoints/endpoint.ts';
import type { ServiceEntry } from '../../../endpoints/service-port.ts';
import { writeAddress } from './address-bytes.ts';
import { HOSTS_HEAD_BYTES, HOSTS_SLOW, NO_PORT, readU32, SERVICE_HOSTS_AT, writeU32 } from './layout.ts';
import type { TableMemory } from './table-memory.ts';

/** More hosts (endpoints x ports) than this: the slow path answers for ports and SRV. */
const HOSTS_MAX = 255;
const LISTINGS_MAX = 127;
const PORT_WORD = /^[a-z0-9_-]{0,63}$/;
const V4_HOST_BYTES = 12;
const V6_HOST_BYTES = 24;

/** One address and one port of a service, in the order in which SRV records come. */
interface PackedHost {
  /** Block of the endpoint's name; 0 = the service's own name. */
  readonly ref: number;
  readonly address: string;
  /** Undefined = the service has no ports. */
  readonly port: { readonly name: string; readonly protocol: string; readonly number: number } | undefined;
  readonly listings: number;
}

/** The hosts of each service: what its SRV records and the names of its ports say. */
export class HostBlocks {
  readonly #memory: TableMemory;
  readonly #scratch = new Uint8Array(HOSTS_HEAD_BYTES + HOSTS_MAX * (V6_HOST_BYTES + 2 * 64));

  constructor(memory: TableMemory) {
    this.#memory = memory;
  }

  /** Brings the field of a service block up to date. `hosts` undefined = the slow path answers. */
  write(service: number, hosts: readonly PackedHost[] | undefined): void {
    const size = hosts ? this.#pack(hosts) : 0;
    if (size === 0) {
      this.release(service);
      writeU32(this.#memory.buffers.arena, service + SERVICE_HOSTS_AT, HOSTS_SLOW);
      return;
    }
    const old = readU32(this.#memory.buffers.arena, service + SERVICE_HOSTS_AT);
    const fits = old > HOSTS_SLOW && readU32(this.#memory.buffers.arena, old) === size;
    if (!fits) this.release(service);
    const block = fits ? old : this.#memory.allocate(size);
    this.#memory.buffers.arena.set(this.#scratch.subarray(0, size), block);
    writeU32(this.#memory.buffers.arena, service + SERVICE_HOSTS_AT, block);
  }

  release(service: number): void {
    const { arena } = this.#memory.buffers;
    const block = readU32(arena, service + SERVICE_HOSTS_AT);
    if (block > HOSTS_SLOW) this.#memory.release(block, readU32(arena, block));
    writeU32(arena, service + SERVICE_HOSTS_AT, 0);
  }

  /** Into the scratch; returns the size, 0 when the table has no room for them. */
  #pack(hosts: readonly PackedHost[]): number {
    const six = hosts.some(({ address }) => address.includes(':'));
    const hostBytes = six ? V6_HOST_BYTES : V4_HOST_BYTES;
    const out = this.#scratch;
    const ports = new Map<string, number>();
    let at = HOSTS_HEAD_BYTES;
    for (const { ref, address, port, listings } of hosts) {
      const words = port && `${port.protocol}/${port.name}`.toLowerCase();
      if (words !== undefined && !ports.has(words)) ports.set(words, ports.size);
      const number = port?.number ?? 0;
      if (number < 0 || number > 0xffff || listings > LISTINGS_MAX) return 0;
      writeU32(out, at, ref);
      out[at + 4] = number & 0xff;
      out[at + 5] = number >> 8;
      out[at + 6] = words === undefined ? NO_PORT : ports.get(words)!;
      out[at + 7] = (listings << 1) | Number(address.includes(':'));
      out.fill(0, at + 8, at + hostBytes);
      writeAddress(address, out, at + 8);
      at += hostBytes;
    }
    for (const words of ports.keys()) {
      const slash = words.indexOf('/');
      for (const word of [words.slice(0, slash), words.slice(slash + 1)]) {
        if (!PORT_WORD.test(word)) return 0;
        out[at++] = word.length;
        for (let i = 0; i < word.length; i++) out[at++] = word.charCodeAt(i);
      }
    }
    writeU32(out, 0, at);
    out[4] = hosts.length;
    out[5] = ports.size;
    out[6] = hostBytes;
    out[7] = 0;
    return at;
  }
}

/** The hosts of a ClusterIP service: every address with every port. Undefined = too many. */
export function clusterIpHosts({ clusterIPs, ports }: ServiceEntry): PackedHost[] | undefined {
  if (clusterIPs.length * Math.max(1, ports.length) > HOSTS_MAX) return undefined;
  const numbered = ports.map(({ name, protocol, port }) => ({ name, protocol, number: port }));
  return clusterIPs.flatMap((address) =>
    (numbered.length > 0 ? numbered : [undefined]).map((port) => ({ ref: 0, address, port, listings: 1 })),
  );
}

/**
 * The hosts of a headless service: every ready endpoint with each of its ports. Undefined = too many, or a name
 * (`refOf` says 0) is not in the table.
 */
export function headlessHosts(
  endpoints: readonly Endpoint[],
  refOf: (endpoint: Endpoint) => number,
): PackedHost[] | undefined {
  let count = 0;
  for (const { ready, ports } of endpoints) {
    if (ready) count += Math.max(1, ports.size);
    if (count > HOSTS_MAX) return undefined;
  }
  const hosts: PackedHost[] = [];
  for (const endpoint of endpoints) {
    if (!endpoint.ready) continue;
    const { address, ports, listings = 1 } = endpoint;
    const ref = refOf(endpoint);
    if (ref === 0) return undefined;
    for (const [key, number] of ports) {
      const slash = key.lastIndexOf('/');
      const port = { name: key.slice(0, slash), protocol: key.slice(slash + 1), number };
      hosts.push({ ref, address, port, listings });
    }
    if (ports.size === 0) hosts.push({ ref, address, port: undefined, listings });
  }
  return hosts;
}
