import { Role, ROLES } from '../http/fields.ts';

/** A name with a role, by its bytes in lower case. */
interface Named {
  readonly bytes: Uint8Array;
  readonly role: Role;
}

const SLOTS = 1024;
const table: (readonly Named[] | undefined)[] = Array.from({ length: SLOTS }, () => undefined);

for (const [name, role] of Object.entries(ROLES)) {
  const bytes = Buffer.from(name);
  const slot = slotOf(bytes[0]!, bytes.at(-1)!, bytes.length);
  table[slot] = [...(table[slot] ?? []), { bytes, role }];
}

/** Letters of either case fall together. */
function slotOf(first: number, last: number, length: number): number {
  return (((first | 0x20) * 31) ^ ((last | 0x20) * 7) ^ (length * 41)) & (SLOTS - 1);
}

/** The role of the field name in [from, end), which must be a token: for most names one look into a table. */
export function roleAt(bytes: Uint8Array, from: number, end: number): Role {
  const candidates = table[slotOf(bytes[from]!, bytes[end - 1]!, end - from)];
  if (candidates === undefined) return Role.PLAIN;
  for (const { bytes: name, role } of candidates) if (isName(bytes, from, end, name)) return role;
  return Role.PLAIN;
}

/** True when [from, end) is `lower` in any case. In a token no byte but a letter changes with that bit. */
export function isName(bytes: Uint8Array, from: number, end: number, lower: Uint8Array): boolean {
  if (end - from !== lower.length) return false;
  for (let i = 0; i < lower.length; i++) if ((bytes[from + i]! | 0x20) !== lower[i]) return false;
  return true;
}
