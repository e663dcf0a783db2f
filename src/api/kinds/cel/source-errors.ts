/** A mistake at an offset of the source. */
export interface SourceError {
  readonly at: number;
  readonly message: string;
}

/** Mistakes told of one expression. */
const MAX_SOURCE_ERRORS = 100;

/** `ERROR: <input>:1:6: …` with the line and a pointer, one after the other by place, as cel-go prints them. */
export function located(source: string, errors: readonly SourceError[]): string {
  const shown = errors.slice(0, MAX_SOURCE_ERRORS).toSorted((a, b) => a.at - b.at);
  const texts = shown.map((error) => locatedOne(source, error));
  const left = errors.length - shown.length;
  return [...texts, ...(left > 0 ? [`${left} more errors were truncated`] : [])].join('\n');
}

function locatedOne(source: string, { at, message }: SourceError): string {
  const before = source.slice(0, at);
  const line = before.split('\n').length;
  const start = before.lastIndexOf('\n') + 1;
  const indent = Array.from(before.slice(start));
  const text = (source.split('\n')[line - 1] ?? '').replaceAll('\t', ' ');
  const pointed = Array.from(source.slice(at))[0] ?? '';
  // Wide characters get wide dots, so that the pointer stands below its character.
  const dots = indent.map((one) => (isWide(one) ? '\uff0e' : '.')).join('');
  const pointer = dots + (isWide(pointed) ? '\uff3e' : '^');
  return `ERROR: <input>:${line}:${indent.length + 1}: ${message}\n | ${text}\n | ${pointer}`;
}

const isWide = (character: string): boolean => (character.codePointAt(0) ?? 0) > 0x7f;
