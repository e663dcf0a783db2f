import { expectArgs, readDurationMs, readOptions, readWord } from '../../corefile/options.ts';
import type { Directive } from '../../plugin.ts';
import { readRegex } from '../../user-regex.ts';
import { ErrorLog, type Consolidation } from './serve.ts';

const SHOW_FIRST = 'show_first';

/** `errors { stacktrace, consolidate DURATION REGEX [LEVEL] [show_first] }`. */
export const errors: Directive = {
  name: 'errors',
  setup(context) {
    // Once the name of a log file; there is only one place left.
    const [file] = context.stanza.args;
    expectArgs(context, context.stanza, 0, 1);
    if (file) readWord(context, file, ['stdout']);
    const rules: Consolidation[] = [];
    readOptions(context, {
      stacktrace: (line) => void expectArgs(context, line, 0, 0),
      consolidate: (line) => {
        if (!expectArgs(context, line, 2, 4)) return;
        const [duration, pattern, ...rest] = line.args;
        const level = rest[0]?.text === SHOW_FIRST ? undefined : rest.shift();
        const [last, more] = rest;
        if (last && last.text !== SHOW_FIRST) context.fault(last, `"${last.text}" is not ${SHOW_FIRST}`);
        if (more) context.fault(more, `nothing follows ${SHOW_FIRST}`);
        const periodMs = readDurationMs(context, duration!);
        const regex = readRegex(context, pattern!);
        const chosen = level?.text ?? 'error';
        if (!['error', 'warning', 'info', 'debug'].includes(chosen)) {
          context.fault(level!, `"${chosen}" is not one of error, warning, info, debug`);
        }
        if (periodMs !== undefined && regex)
          rules.push({ periodMs, regex, level: chosen, showFirst: last !== undefined });
      },
    });
    return (deps) => new ErrorLog(deps, rules);
  },
};
