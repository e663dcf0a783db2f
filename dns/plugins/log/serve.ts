import type { AnswerSummary, AnswerWatcher } from '../../answer-summary.ts';
import { sharedCounter } from '../../plugin-metrics.ts';
import type { Plugin, PluginDeps } from '../../plugin.ts';
import { isWithin, nameToWire } from '../../wire/name.ts';
import { lineFormat, needsChain } from './format.ts';
import { summaryOf } from './summary.ts';

export const LOG_CLASSES = ['success', 'denial', 'error', 'all'] as const;
export type LogClass = (typeof LOG_CLASSES)[number];
/** Lines that were dropped are told of at most so often. */
const REPORT_DROPS_MS = 10_000;

export interface LogOptions {
  readonly names: readonly string[];
  readonly format: string;
  readonly classes: ReadonlySet<LogClass>;
  /** Of so many answers one is logged, chosen at random. */
  readonly oneIn: number;
}

/** One line for each answer of the chosen names and classes, or for a sample of them. */
export function openLog(deps: PluginDeps, options: LogOptions): Plugin {
  const { names, classes, oneIn } = options;
  const line = lineFormat(options.format);
  const takes = (of: LogClass): boolean => classes.has('all') || classes.has(of);
  const lost = lostLines(deps);
  const wires = names.flatMap((name) => nameToWire(name) ?? []);
  const policy = { names: wires, success: takes('success'), denial: takes('denial'), oneIn };
  const wantsTable = policy.success || policy.denial;
  const watch: AnswerWatcher = {
    policy,
    observe: (answer) => deps.log.always(line(answer, undefined)),
    missed: (count) => lost.add(count),
  };
  return {
    name: 'log',
    transparent: !wantsTable,
    // what only the chain knows it must be asked for: the table would answer past us
    watch: wantsTable && !needsChain(options.format) ? watch : undefined,
    serve: (query, next) => next(query),
    observe: (sent) => {
      const answer = summaryOf(sent);
      if (!takes(classOf(answer)) || !names.some((name) => isWithin(sent.query.name, name))) return;
      if (oneIn === 1 || deps.random() * oneIn < 1) deps.log.always(line(answer, sent.query));
    },
    [Symbol.asyncDispose]: async () => lost[Symbol.dispose](),
  };
}

function classOf({ reply }: AnswerSummary): LogClass {
  if (!reply) return 'error';
  if (reply.rcode === 'NXDOMAIN' || reply.noData) return 'denial';
  return reply.rcode === 'NOERROR' ? 'success' : 'error';
}

/** Counts lines that were not written because too many came at once, and says so once in a while. */
function lostLines(deps: PluginDeps): { add(count: number): void } & Disposable {
  const counter = sharedCounter(deps, {
    name: 'weft_dns_log_dropped_total',
    help: 'Lines of the log plugin that were dropped because answers came faster than lines were written.',
    labelNames: ['server'],
  });
  let untold = 0;
  let timer: Disposable | undefined;
  const tell = (): void => {
    if (untold > 0) deps.log.warn('log lines dropped', { count: untold });
    untold = 0;
    timer = undefined;
  };
  return {
    add: (count) => {
      counter.inc({ server: deps.listener }, count);
      untold += count;
      timer ??= deps.clock.setTimer(REPORT_DROPS_MS, tell);
    },
    [Symbol.dispose]: () => {
      timer?.[Symbol.dispose]();
      tell();
    },
  };
}
