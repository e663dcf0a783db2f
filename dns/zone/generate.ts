import type { ZoneWord } from '../wire/zone-words.ts';
import { GENERATE_RECORDS } from './limits.ts';

export type Generated =
  | { readonly ok: true; readonly entries: Iterable<readonly ZoneWord[]> }
  | { readonly ok: false; readonly reason: string };

/** `$GENERATE START-STOP[/STEP] OWNER [TTL] [CLASS] TYPE DATA`: `$` and `${offset,width,base}` become the number. */
export function generate(words: readonly ZoneWord[]): Generated {
  const [range, ...template] = words;
  const [, first, last, by = '1'] = /^(\d{1,10})-(\d{1,10})(?:\/(\d{1,10}))?$/.exec(range?.text ?? '') ?? [];
  const [start, stop, step] = [Number(first), Number(last), Number(by)];
  if (!(start <= stop) || step < 1)
    return { ok: false, reason: '$GENERATE needs a range such as 1-10 or 0-100/5' };
  if (template.length < 3) return { ok: false, reason: '$GENERATE needs owner, type and data' };
  if ((stop - start) / step >= GENERATE_RECORDS) {
    return { ok: false, reason: `$GENERATE makes more than ${GENERATE_RECORDS} records` };
  }
  if (!template.every(({ text }) => fill(text, start) !== undefined)) {
    return { ok: false, reason: '$GENERATE knows ${offset,width,base} with base d, o, x or X' };
  }
  return { ok: true, entries: entriesOf(template, { start, stop, step }) };
}

function* entriesOf(
  template: readonly ZoneWord[],
  { start, stop, step }: { start: number; stop: number; step: number },
): Iterable<readonly ZoneWord[]> {
  for (let i = start; i <= stop; i += step) {
    yield template.map(({ text, quoted }) => ({ text: fill(text, i) ?? '', quoted }));
  }
}

function fill(text: string, value: number): string | undefined {
  let wrong = false;
  const filled = text.replace(/\\\$|\$\{([^}]*)\}|\$/g, (all, inner: string | undefined) => {
    if (all === '\\$') return '$';
    if (inner === undefined) return String(value);
    const [, offset = '0', width = '0', base = 'd'] =
      /^(-?\d{1,9})(?:,(\d{1,3}))?(?:,([doxX]))?$/.exec(inner) ?? [];
    if (!/^-?\d{1,9}(,\d{1,3}(,[doxX])?)?$/.test(inner) || value + Number(offset) < 0) wrong = true;
    const number = Math.max(0, value + Number(offset));
    const radix = base === 'd' ? 10 : base === 'o' ? 8 : 16;
    const digits = number.toString(radix).padStart(Number(width), '0');
    return base === 'X' ? digits.toUpperCase() : digits;
  });
  return wrong ? undefined : filled;
}
