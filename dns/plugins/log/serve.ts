import type { Plugin, PluginDeps, SentReply } from '../../plugin.ts';
import { isWithin } from '../../wire/name.ts';
import { formatLine } from './format.ts';

export const LOG_CLASSES = ['success', 'denial', 'error', 'all'] as const;
export type LogClass = (typeof LOG_CLASSES)[number];

export interface LogOptions {
  readonly names: readonly string[];
  readonly format: string;
  readonly classes: ReadonlySet<LogClass>;
}

/** One line for each answer of the chosen names and classes. */
export function openLog(deps: PluginDeps, options: LogOptions): Plugin {
  const wanted = (sent: SentReply): boolean =>
    (options.classes.has('all') || options.classes.has(classOf(sent))) &&
    options.names.some((name) => isWithin(sent.query.name, name));
  return {
    name: 'log',
    // Every question must be seen: the table would answer past us.
    transparent: false,
    serve: (query, next) => next(query),
    observe: (sent) => {
      if (wanted(sent)) deps.log.info(formatLine(options.format, sent));
    },
  };
}

function classOf({ reply }: SentReply): LogClass {
  if (!reply) return 'error';
  if (reply.rcode === 'NXDOMAIN') return 'denial';
  if (reply.rcode !== 'NOERROR') return 'error';
  const denied = reply.answers.length === 0 && reply.authorities.some((record) => record.type === 'SOA');
  return denied ? 'denial' : 'success';
}
