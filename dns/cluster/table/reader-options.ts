import { isWithin, labelCount, nameToWire } from '../../wire/name.ts';
import { isReverseZone, SOA_TTL_MAX_SECONDS, type ClusterOptions } from '../options.ts';
import type { GatePolicy } from './client-gate.ts';

export interface ReaderZone {
  /** Folded wire form, the root label included. */
  readonly wire: Uint8Array;
  readonly labels: number;
  /** False: everything below goes to the slow path. */
  readonly fast: boolean;
  /** How many bytes the addresses have that names of a reverse zone spell; 0 = no reverse zone. */
  readonly addressBytes: 0 | 4 | 16;
  /** Which of `blockZones` its names belong to. */
  readonly blockZone: number;
  /** NXDOMAIN may mean that another plugin knows the name. */
  readonly fallsThrough: boolean;
}

/** What a reader must know besides the table; plain data, can be sent to a thread. */
export interface ReaderOptions {
  /** Longest first. */
  readonly zones: readonly ReaderZone[];
  readonly ttlSeconds: number;
  readonly soaTtlSeconds: number;
  readonly soaMinimumSeconds: number;
  /** Start big answers at another record each time. */
  readonly rotate: boolean;
  /** Echo the client's UDP size. */
  readonly strict: boolean;
  /** Names below `<label>.<namespace>.svc` that do not exist go to the slow path: somebody walks search paths. */
  readonly leavesDeepNames: boolean;
  /** Names below `_zone.<service>` go to the slow path. */
  readonly zonal: boolean;
  /** Where PTR targets lie, in wire form; undefined = PTR questions go to the slow path. */
  readonly primaryZone: Uint8Array | undefined;
  /** What those are told who ask which server this is (RFC 5001). */
  readonly nsid: Uint8Array | undefined;
  /** Who may be answered from the table; undefined = everybody. */
  readonly gate: readonly GatePolicy[] | undefined;
  /** Zones of the server block that questions come to, as metrics name them. */
  readonly blockZones: readonly string[];
}

/** What stands around a compiled table in its block and listener. */
export interface TableSurroundings {
  /** Questions for this zone come to the table's plugin, and to no other block. */
  ownsZone(zone: string): boolean;
  /** The zone of the server block that a zone's names belong to. */
  blockZoneOf?(zone: string): string;
  /** Zones that somebody else answers: their names take the slow path. */
  readonly foreignZones: readonly string[];
  /** `loadbalance` is in the chain. */
  readonly rotate: boolean;
  /** As in ReaderOptions; default false. */
  readonly leavesDeepNames?: boolean;
  /** As in ReaderOptions. */
  readonly nsid?: Uint8Array | undefined;
  readonly gate?: readonly GatePolicy[] | undefined;
}

/** How a reader of the compiled table must treat each zone of a stanza. */
export function readerOptions(options: ClusterOptions, around: TableSurroundings): ReaderOptions {
  const { ttlSeconds, strict } = options;
  const blockZones = [...new Set(options.zones.map((zone) => around.blockZoneOf?.(zone) ?? zone))];
  const own = options.zones.map((zone) => {
    const made = readerZone(zone, options);
    const blockZone = blockZones.indexOf(around.blockZoneOf?.(zone) ?? zone);
    return { ...made, fast: made.fast && around.ownsZone(zone), blockZone };
  });
  const foreign = around.foreignZones.map((zone) => ({ ...readerZone(zone, options), fast: false }));
  return {
    // Of two with the same name the foreign one stands first: it is asked first in the chain too.
    zones: [...foreign, ...own].sort((a, b) => b.labels - a.labels),
    ttlSeconds,
    soaTtlSeconds: Math.min(ttlSeconds, SOA_TTL_MAX_SECONDS),
    soaMinimumSeconds: ttlSeconds,
    rotate: around.rotate,
    leavesDeepNames: around.leavesDeepNames ?? false,
    zonal: options.zonal,
    primaryZone: hidesPointers(options.primaryZone) ? undefined : nameToWire(options.primaryZone),
    nsid: around.nsid,
    gate: around.gate,
    blockZones,
    strict,
  };
}

/** A PTR target that shares labels with its question is compressed against it: left to the slow path. */
function hidesPointers(primaryZone: string): boolean {
  return primaryZone === '.' || isWithin(primaryZone, 'arpa.');
}

function readerZone(zone: string, options: ClusterOptions): ReaderZone {
  const through = options.fallthrough;
  const overlaps = (other: string): boolean => isWithin(other, zone) || isWithin(zone, other);
  return {
    wire: nameToWire(zone) ?? new Uint8Array(1),
    labels: labelCount(zone),
    fast: zone !== '.' && !options.multiclusterZones.includes(zone),
    addressBytes: !isReverseZone(zone) ? 0 : zone.endsWith('ip6.arpa.') ? 16 : 4,
    blockZone: 0,
    fallsThrough: through !== undefined && (through.length === 0 || through.some(overlaps)),
  };
}
