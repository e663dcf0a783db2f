import { expectArgs, readDurationMs, readOptions } from '../../corefile/options.ts';
import type { Directive } from '../../plugin.ts';
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
        const regex = compile(pattern!.text);
        if (!regex) context.fault(pattern!, `"${pattern!.text}" is not a regular expression`);
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

function compile(text: string): RegExp | undefined {
  try {
    return new RegExp(text);
  } catch {
    return undefined;
  }
}
