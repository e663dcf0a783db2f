import { isWithin, labelCount, nameToWire } from '../../wire/name.ts';
import { isReverseZone, SOA_TTL_MAX_SECONDS, type ClusterOptions } from '../options.ts';

export interface ReaderZone {
  /** Folded wire form, the root label included. */
  readonly wire: Uint8Array;
  readonly labels: number;
  /** False: everything below goes to the slow path. */
  readonly fast: boolean;
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
}

/** What stands around a compiled table in its block and listener. */
export interface TableSurroundings {
  /** Questions for this zone come to the table's plugin, and to no other block. */
  ownsZone(zone: string): boolean;
  /** Zones that somebody else answers: their names take the slow path. */
  readonly foreignZones: readonly string[];
  /** `loadbalance` is in the chain. */
  readonly rotate: boolean;
  /** As in ReaderOptions; default false. */
  readonly leavesDeepNames?: boolean;
}

/** How a reader of the compiled table must treat each zone of a stanza. */
export function readerOptions(options: ClusterOptions, around: TableSurroundings): ReaderOptions {
  const { ttlSeconds, strict } = options;
  const own = options.zones.map((zone) => {
    const made = readerZone(zone, options);
    return { ...made, fast: made.fast && around.ownsZone(zone) };
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
    strict,
  };
}

function readerZone(zone: string, options: ClusterOptions): ReaderZone {
  const through = options.fallthrough;
  const overlaps = (other: string): boolean => isWithin(other, zone) || isWithin(zone, other);
  const forward = !isReverseZone(zone) && zone !== '.';
  return {
    wire: nameToWire(zone) ?? new Uint8Array(1),
    labels: labelCount(zone),
    fast: forward && !options.multiclusterZones.includes(zone),
    fallsThrough: through !== undefined && (through.length === 0 || through.some(overlaps)),
  };
}
