import { isReverseZone, SOA_TTL_MAX_SECONDS, type ClusterOptions } from '../../cluster/options.ts';
import type { ReaderOptions, ReaderZone } from '../../cluster/table/reader-options.ts';
import type { CompiledAround } from '../../plugin.ts';
import { isWithin, labelCount, nameToWire } from '../../wire/name.ts';

/** How a reader of the compiled table must treat each zone of a stanza. */
export function readerOptions(options: ClusterOptions, around: CompiledAround): ReaderOptions {
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
