import { parseCidr } from '../../src/net/cidr.ts';
import { foldName, parseName } from '../wire/name.ts';
import type { SetupContext } from '../plugin.ts';
import type { Line, Token } from './syntax.ts';
import { reverseZonesOf } from './reverse-zones.ts';

/** Readers of option values. Each reports a fault at the token and returns undefined when the value is bad. */
export function readInteger(
  context: SetupContext,
  token: Token,
  min: number,
  max: number,
): number | undefined {
  const value = /^[+-]?\d+$/.test(token.text) ? Number(token.text) : Number.NaN;
  if (value >= min && value <= max) return value;
  context.fault(token, `"${token.text}" is not a whole number from ${min} to ${max}`);
  return undefined;
}

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Go's duration text (`1m30s`, `500ms`); undefined when it is none. */
export function parseDurationMs(text: string): number | undefined {
  if (text === '0') return 0;
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) {
    total += Number(amount) * UNIT_MS[unit!]!;
  }
  return total;
}

export function readDurationMs(context: SetupContext, token: Token): number | undefined {
  const value = parseDurationMs(token.text);
  if (value === undefined)
    context.fault(token, `"${token.text}" is not a duration such as 5s, 1m30s or 500ms`);
  return value;
}

/** One of words, exactly as written. */
export function readWord<W extends string>(
  context: SetupContext,
  token: Token,
  words: readonly W[],
): W | undefined {
  if ((words as readonly string[]).includes(token.text)) return token.text as W;
  context.fault(token, `"${token.text}" is not one of ${words.join(', ')}${suggestion(token.text, words)}`);
  return undefined;
}

/** Zone names or CIDRs as absolute folded names; a CIDR may become several. */
export function readZones(context: SetupContext, tokens: readonly Token[]): string[] {
  return tokens.flatMap((token) => {
    const zones = zonesOf(token.text);
    if (!zones) context.fault(token, `"${token.text}" is neither a zone name nor a CIDR`);
    return zones ?? [];
  });
}

/** The zones behind one word of a zone list; undefined when it is none. */
export function zonesOf(text: string): string[] | undefined {
  const cidr = text.includes('/') ? parseCidr(text) : undefined;
  if (cidr) return reverseZonesOf(cidr);
  if (text.includes('/') && /^[\d.:a-f]+\/\d+$/i.test(text)) return undefined;
  const name = parseName(text);
  return name === undefined ? undefined : [foldName(name)];
}

/** The zones given, or those of the block when none are. */
export function zonesOrBlock(context: SetupContext, tokens: readonly Token[]): string[] {
  return tokens.length > 0 ? readZones(context, tokens) : [...context.block.zones];
}

export type OptionReaders = Readonly<Record<string, (line: Line) => void>>;

/** Runs the reader named by each line of the stanza's body; unknown options are faults with the nearest name. */
export function readOptions(context: SetupContext, readers: OptionReaders): void {
  for (const line of context.stanza.body ?? []) {
    const reader = Object.hasOwn(readers, line.name.text) ? readers[line.name.text] : undefined;
    if (reader) reader(line);
    else {
      const names = Object.keys(readers);
      const hint = suggestion(line.name.text, names) || options(names);
      context.fault(line.name, `unknown option "${line.name.text}" of ${context.stanza.name.text}${hint}`);
    }
  }
}

/** Checks the number of words behind a name; true when it is right. */
export function expectArgs(context: SetupContext, line: Line, min: number, max: number): boolean {
  const count = line.args.length;
  if (count >= min && count <= max) return true;
  const wanted = min === max ? `${min}` : max === Infinity ? `at least ${min}` : `${min} to ${max}`;
  context.fault(line.args[max] ?? line.name, `${line.name.text} takes ${wanted} argument(s), ${count} given`);
  return false;
}

/** No body allowed. */
export function expectNoBody(context: SetupContext): void {
  const first = context.stanza.body?.[0];
  if (first) context.fault(first.name, `${context.stanza.name.text} has no options`);
}

/** `; did you mean "x"?` for the nearest of names, or nothing when none is near. */
export function suggestion(text: string, names: readonly string[]): string {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(text.length / 3)) + 1;
  for (const name of names) {
    const distance = editDistance(text.toLowerCase(), name.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [name, distance];
  }
  return best === undefined ? '' : `; did you mean "${best}"?`;
}

function options(names: readonly string[]): string {
  return names.length === 0 ? '; it has no options' : `; it has ${names.join(', ')}`;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + cost));
    }
    row = next;
  }
  return row[b.length]!;
}
