import { foldName, isWithin, labelsBelow } from '../../wire/name.ts';
import type { ZoneData } from '../../zone/zone-data.ts';

/** Members of one catalog; those beyond are left out, and named in the log. */
export const CATALOG_MEMBERS = 10_000;

export type Catalog =
  | { readonly ok: true; readonly members: readonly string[] }
  | { readonly ok: false; readonly reason: string };

/**
 * The zones that a catalog names (RFC 9432): the targets of the PTRs one label below `zones`. Entries without exactly
 * one target are broken and count for nothing (section 5.1). `allowed` empty = all; else only these and what is below.
 */
export function readCatalog(zone: ZoneData, allowed: readonly string[]): Catalog {
  const versions = zone.rrset(`version.${zone.origin}`, 'TXT');
  const [version] = versions;
  const text = version?.type === 'TXT' ? version.data.texts.join('') : undefined;
  if (versions.length !== 1 || text !== '2')
    return { ok: false, reason: `version ${text ?? 'is missing'}, not 2` };
  const base = `zones.${zone.origin}`;
  const members = zone
    .names()
    .filter((name) => name !== base && isWithin(name, base) && labelsBelow(name, base).length === 1)
    .flatMap((name) => {
      const [pointer, another] = zone.rrset(name, 'PTR');
      return pointer?.type === 'PTR' && !another ? [foldName(pointer.data.target)] : [];
    })
    .filter((member) => allowed.length === 0 || allowed.some((one) => isWithin(member, one)));
  return { ok: true, members: [...new Set(members)] };
}
