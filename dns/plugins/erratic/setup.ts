import { sleep } from '../../../src/base/clock.ts';
import { expectArgs, readDurationMs, readInteger, readOptions } from '../../corefile/options.ts';
import type { Line } from '../../corefile/syntax.ts';
import type { Directive, Plugin, PluginDeps } from '../../plugin.ts';
import { failure, type Outcome, type Query } from '../../query.ts';
import { record, replyTo, type ResourceRecord } from '../../wire/message.ts';

interface ErraticOptions {
  /** One of so many questions; 0 = none. */
  readonly drop: number;
  readonly truncate: number;
  readonly delay: number;
  readonly delayMs: number;
  readonly large: boolean;
}

const AMOUNT = 2;
const DELAY_MS = 100;
const LARGE_RECORDS = 29;
const MOST = 2 ** 31 - 1;

/** `erratic { drop [N], truncate [N], delay [N [DURATION]], large }`: misbehaves on purpose, to test clients. */
export const erratic: Directive = {
  name: 'erratic',
  setup(context) {
    expectArgs(context, context.stanza, 0, 0);
    const options = { drop: 0, truncate: 0, delay: 0, delayMs: DELAY_MS, large: false };
    const amount = (line: Line): number =>
      line.args[0] ? (readInteger(context, line.args[0], 0, MOST) ?? AMOUNT) : AMOUNT;
    readOptions(context, {
      drop: (line) => void (expectArgs(context, line, 0, 1) && (options.drop = amount(line))),
      truncate: (line) => void (expectArgs(context, line, 0, 1) && (options.truncate = amount(line))),
      delay: (line) => {
        if (!expectArgs(context, line, 0, 2)) return;
        options.delay = amount(line);
        if (line.args[1]) options.delayMs = readDurationMs(context, line.args[1]) ?? DELAY_MS;
      },
      large: (line) => void (expectArgs(context, line, 0, 0) && (options.large = true)),
    });
    if ((context.stanza.body ?? []).length === 0) options.drop = AMOUNT;
    return (deps) => openErratic(deps, options);
  },
};

function openErratic({ clock }: PluginDeps, options: ErraticOptions): Plugin {
  let asked = 0;
  return {
    name: 'erratic',
    serve: (query) => {
      const turn = asked++;
      const hit = (each: number): boolean => each > 0 && turn % each === 0;
      const outcome = hit(options.drop)
        ? ({ kind: 'drop', reason: 'erratic' } as const)
        : answer(query, hit(options.truncate), options);
      if (!hit(options.delay)) return outcome;
      return sleep(clock, options.delayMs, query.signal).then(() => outcome);
    },
  };
}

function answer({ request, question }: Query, truncated: boolean, { large }: ErraticOptions): Outcome {
  const { name, type } = question;
  const one: ResourceRecord | undefined =
    type === 'A'
      ? record(name, 0, 'A', { address: '192.0.2.53' })
      : type === 'AAAA'
        ? record(name, 0, 'AAAA', { address: '2001:db8::53' })
        : undefined;
  if (!one) return failure('SERVFAIL', 'erratic knows A and AAAA');
  const answers = Array.from({ length: large ? LARGE_RECORDS + 1 : 1 }, () => one);
  return { kind: 'reply', message: replyTo(request, { authoritative: true, truncated, answers }) };
}
