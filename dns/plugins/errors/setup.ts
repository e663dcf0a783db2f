import { expectArgs, readDurationMs, readOptions } from '../../corefile/options.ts';
import type { Directive } from '../../plugin.ts';
import { readRegex } from '../../user-regex.ts';
import { ErrorLog, type Consolidation } from './serve.ts';

export const errors: Directive = {
  name: 'errors',
  setup(context) {
    expectArgs(context, context.stanza, 0, 0);
    const rules: Consolidation[] = [];
    readOptions(context, {
      stacktrace: (line) => void expectArgs(context, line, 0, 0),
      consolidate: (line) => {
        if (!expectArgs(context, line, 2, 4)) return;
        const [duration, pattern, level] = line.args;
        const periodMs = readDurationMs(context, duration!);
        const regex = readRegex(context, pattern!);
        const chosen = level?.text ?? 'error';
        if (!['error', 'warning', 'info', 'debug'].includes(chosen)) {
          context.fault(level!, `"${chosen}" is not one of error, warning, info, debug`);
        }
        if (periodMs !== undefined && regex) rules.push({ periodMs, regex, level: chosen });
      },
    });
    return (deps) => new ErrorLog(deps, rules);
  },
};
