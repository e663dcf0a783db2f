import type { Token } from '../../corefile/syntax.ts';

/** The Corefile takes quotes away; around one word of several they were those of a text. */
export function expressionText(words: readonly Token[]): string {
  const [only, more] = words;
  if (only && !more) return only.text;
  return words.map(({ text, quoted }) => (quoted ? JSON.stringify(text) : text)).join(' ');
}
