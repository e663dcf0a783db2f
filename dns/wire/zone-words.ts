import { absoluteName, parseName } from './name.ts';

/** A word of zone text; quoted ones may hold blanks and are never keywords. Escapes are kept. */
export interface ZoneWord {
  readonly text: string;
  readonly quoted: boolean;
}

/** Splits one entry (comments and brackets already gone) into words. Undefined when a quote is open. */
export function zoneWords(line: string): ZoneWord[] | undefined {
  const words: ZoneWord[] = [];
  const pattern = /\s*(?:"((?:[^"\\]|\\[\s\S])*)"|((?:[^\s"\\]|\\[\s\S])+))/gy;
  let end = 0;
  for (let match = pattern.exec(line); match; match = pattern.exec(line)) {
    words.push({ text: match[1] ?? match[2]!, quoted: match[1] !== undefined });
    end = pattern.lastIndex;
  }
  return line.slice(end).trim() === '' ? words : undefined;
}

/** An absolute name from zone text: `@` is the origin, relative names end in it. */
export function zoneName(text: string, origin: string): string | undefined {
  if (text === '@') return origin;
  if (text === '' || text === '.') return text === '.' ? '.' : undefined;
  const absolute = absoluteName(text) === text ? text : origin === '.' ? `${text}.` : `${text}.${origin}`;
  return parseName(absolute);
}
