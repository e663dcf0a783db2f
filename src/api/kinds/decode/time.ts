const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

/** RFC 3339 in UTC with whole seconds (meta/v1 Time); undefined when the text is no time. */
export function canonicalTime(value: unknown): string | undefined {
  const ms = timeMs(value);
  return ms === undefined ? undefined : formatTime(ms);
}

/** RFC 3339 in UTC with microseconds (meta/v1 MicroTime); undefined when the text is no time. */
export function canonicalMicroTime(value: unknown): string | undefined {
  const ms = timeMs(value);
  if (ms === undefined) return undefined;
  const fraction = /\.(\d+)/.exec(String(value))?.[1] ?? '';
  return formatMicroTime(Math.floor(ms / 1000), Number(fraction.padEnd(6, '0').slice(0, 6)));
}

/** Milliseconds since 1970 of an RFC 3339 text, undefined when it is none. */
export function timeMs(value: unknown): number | undefined {
  const match = typeof value === 'string' ? RFC3339.exec(value) : null;
  if (!match) return undefined;
  const [, , month, day, hour, minute, second] = match;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  const ms = Date.parse(String(value).toUpperCase());
  if (Number.isNaN(ms)) return undefined;
  const days = new Date(Date.UTC(Number(match[1]), Number(month), 0)).getUTCDate();
  return Number(day) > days ? undefined : ms;
}

/** Whole seconds, cut. */
export function formatTime(ms: number): string {
  return `${new Date(Math.floor(ms / 1000) * 1000).toISOString().slice(0, 19)}Z`;
}

export function formatMicroTime(seconds: number, micros: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(micros).padStart(6, '0')}Z`;
}
