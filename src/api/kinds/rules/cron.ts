/** One field of a cron schedule: its name and the numbers it may hold. */
const FIELDS: readonly { name: string; min: number; max: number; words?: readonly string[] }[] = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day of month', min: 1, max: 31 },
  {
    name: 'month',
    min: 1,
    max: 12,
    words: ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'],
  },
  { name: 'day of week', min: 0, max: 6, words: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] },
];

const MACROS = new Set(['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly']);

/** What is wrong with a five-field cron schedule, undefined when nothing is. */
export function cronProblem(schedule: string): string | undefined {
  const text = schedule.trim();
  if (text.startsWith('@')) {
    const known = MACROS.has(text) || /^@every \d+(h|m|s|ms|us|ns)/.test(text);
    return known ? undefined : `unrecognized descriptor: ${text}`;
  }
  const fields = text.split(/\s+/);
  if (fields.length !== FIELDS.length) {
    return `expected exactly ${FIELDS.length} fields, found ${fields.length}: [${fields.join(' ')}]`;
  }
  for (const [index, field] of fields.entries()) {
    const rule = FIELDS[index];
    if (!rule) continue;
    for (const part of field.split(',')) {
      const problem = partProblem(part, rule);
      if (problem) return problem;
    }
  }
  return undefined;
}

function partProblem(part: string, rule: (typeof FIELDS)[number]): string | undefined {
  const match = /^(\*|\?|[0-9a-z]+)(?:-([0-9a-z]+))?(?:\/(\d+))?$/i.exec(part);
  if (!match) return `failed to parse ${rule.name} field ${part}`;
  if (match[3] !== undefined && Number(match[3]) === 0)
    return `step of range should be a positive number: ${part}`;
  if (match[1] === '*' || match[1] === '?') return undefined;
  const start = numberOf(match[1] ?? '', rule);
  const end = match[2] === undefined ? start : numberOf(match[2], rule);
  if (start === undefined || end === undefined) return `failed to parse int from ${part}`;
  if (start < rule.min) return `beginning of range (${start}) below minimum (${rule.min}): ${part}`;
  if (end > rule.max) return `end of range (${end}) above maximum (${rule.max}): ${part}`;
  return start > end ? `beginning of range (${start}) beyond end of range (${end}): ${part}` : undefined;
}

function numberOf(text: string, rule: (typeof FIELDS)[number]): number | undefined {
  if (/^\d+$/.test(text)) return Number(text);
  const index = rule.words?.indexOf(text.toLowerCase()) ?? -1;
  return index < 0 ? undefined : index + rule.min;
}

/** True for an IANA time zone this host knows; `Local` is refused as upstream does. */
export function isTimeZone(name: string): boolean {
  if (name === '' || name.toLowerCase() === 'local') return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}
