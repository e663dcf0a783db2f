import type { Message } from '../../../dns/wire/message.ts';
import { nameToWire } from '../../../dns/wire/name.ts';
import type { RecordType } from '../../../dns/wire/numbers.ts';
import { formatRecord } from '../../../dns/wire/zone-text.ts';
import { extendedReason, type Asker } from './ask.ts';

/** One name that was tried, with everything asked of it. */
export interface Attempt {
  readonly name: string;
  readonly type: RecordType;
  readonly rcode: Message['rcode'];
  /** Zone text lines. */
  readonly answer: readonly string[];
  readonly truncated: boolean;
  readonly authoritative: boolean;
  readonly reason: string | undefined;
  readonly tookMs: number;
}

export interface Lookup {
  readonly asked: string;
  readonly types: readonly RecordType[];
  /** The first candidate that had what was asked for; undefined = none had. */
  readonly found: string | undefined;
  readonly attempts: readonly Attempt[];
}

/**
 * Tries the candidates in order, as the C library does: all types of one name at once; the first name with an answer
 * ends the search; a name that exists without such records is passed over.
 */
export async function lookUp(
  asker: Asker,
  asked: string,
  candidates: readonly string[],
  types: readonly RecordType[],
): Promise<Lookup> {
  const attempts: Attempt[] = [];
  for (const name of candidates.filter((candidate) => nameToWire(candidate) !== undefined)) {
    const tried = await Promise.all(types.map((type) => attempt(asker, name, type)));
    attempts.push(...tried);
    if (tried.some(({ answer }) => answer.length > 0)) return { asked, types, found: name, attempts };
  }
  return { asked, types, found: undefined, attempts };
}

async function attempt(asker: Asker, name: string, type: RecordType): Promise<Attempt> {
  const startedMs = performance.now();
  const reply = await asker.ask(name, type);
  return {
    name,
    type,
    rcode: reply.rcode,
    answer: reply.answers.map(formatRecord),
    truncated: reply.truncated,
    authoritative: reply.authoritative,
    reason: extendedReason(reply),
    tookMs: performance.now() - startedMs,
  };
}

/**
 * What the last word on a name without an answer is: an error if one may hide an answer, else NODATA or NXDOMAIN;
 * REFUSED (a name that is none of the server's) only when nothing better was said.
 */
export function verdictOf({ attempts }: Lookup): string {
  const rcodes = attempts.map(({ rcode }) => rcode);
  const failed = rcodes.find((rcode) => !['NOERROR', 'NXDOMAIN', 'REFUSED'].includes(rcode));
  if (failed) return failed;
  if (rcodes.includes('NOERROR')) return 'NODATA';
  return rcodes.includes('NXDOMAIN') ? 'NXDOMAIN' : (rcodes[0] ?? 'NXDOMAIN');
}
