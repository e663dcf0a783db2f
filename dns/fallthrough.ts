import { isWithin } from './wire/name.ts';

/** The option `fallthrough [ZONE...]` of a directive: undefined = off; empty = for every zone. */
export type Fallthrough = readonly string[] | undefined;

/** Whether the plugins behind are asked for a name that a plugin does not have. */
export function fallsThrough(zones: Fallthrough, name: string): boolean {
  return zones !== undefined && (zones.length === 0 || zones.some((zone) => isWithin(name, zone)));
}
