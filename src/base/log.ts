/** Structured logging: an event name in lower case plus fields. Only the cli decides where lines go. */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug';
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  error(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  debug(event: string, fields?: LogFields): void;
  /** A line that was asked for by name (a log of questions): at every level, written as information. */
  always(event: string, fields?: LogFields): void;
  /** A logger that adds these fields (for example {part: 'dns'}) to each line. */
  with(fields: LogFields): Logger;
}

export interface LogRecord {
  readonly level: LogLevel;
  readonly event: string;
  readonly fields: LogFields;
}

/** Receives each record at or above the chosen level. Must not throw. */
export type LogSink = (record: LogRecord) => void;

const RANK: Readonly<Record<LogLevel, number>> = { error: 0, warn: 1, info: 2, debug: 3 };

export function createLogger(sink: LogSink, level: LogLevel = 'info', base: LogFields = {}): Logger {
  const write = (at: LogLevel, event: string, fields?: LogFields): void =>
    sink({ level: at, event, fields: fields ? { ...base, ...fields } : base });
  const emit =
    (at: LogLevel) =>
    (event: string, fields?: LogFields): void => {
      if (RANK[at] <= RANK[level]) write(at, event, fields);
    };
  return {
    error: emit('error'),
    warn: emit('warn'),
    info: emit('info'),
    debug: emit('debug'),
    always: (event, fields) => write('info', event, fields),
    with: (fields) => createLogger(sink, level, { ...base, ...fields }),
  };
}

/** Discards everything. */
export const silentLogger: Logger = createLogger(() => {});

/** One JSON object a line: {time, level, event, ...fields}. Errors become {message, code, stack}. */
export function formatJson(record: LogRecord, timeMs: number): string {
  const time = new Date(timeMs).toISOString();
  return JSON.stringify({ time, level: record.level, event: record.event, ...record.fields }, replacer);
}

/** `12:00:01.123 info  part event key=value`, for people. */
export function formatText(record: LogRecord, timeMs: number): string {
  const { part, ...rest } = record.fields as { part?: unknown };
  const head = `${new Date(timeMs).toISOString().slice(11, 23)} ${record.level.padEnd(5)} `;
  const pairs = Object.entries(rest).map(([key, value]) => ` ${key}=${textValue(value)}`);
  return head + (typeof part === 'string' ? `${part}: ` : '') + record.event + pairs.join('');
}

/** sd-daemon(3): journald takes the level from the number and brings the time itself. */
const SYSLOG_PRIORITY: Readonly<Record<LogLevel, number>> = { error: 3, warn: 4, info: 6, debug: 7 };

/** `<6>part: event key=value`, for a standard error that the journal reads. */
export function formatJournal(record: LogRecord): string {
  const text = formatText(record, 0).slice(TEXT_HEAD_LENGTH);
  return `<${SYSLOG_PRIORITY[record.level]}>${text}`;
}

/** Time and level of formatText. */
const TEXT_HEAD_LENGTH = '12:00:01.123 info  '.length;

function textValue(value: unknown): string {
  const text = value instanceof Error ? value.message : typeof value === 'string' ? value : undefined;
  if (text === undefined) return JSON.stringify(value, replacer) ?? 'undefined';
  return /^[^\s"=\p{Cc}]+$/u.test(text) ? text : JSON.stringify(text);
}

function replacer(_key: string, value: unknown): unknown {
  if (value instanceof Error) {
    return { message: value.message, code: (value as { code?: unknown }).code, stack: value.stack };
  }
  return typeof value === 'bigint' ? value.toString() : value;
}
