import { expectArgs, expectNoBody, readDurationMs } from '../../corefile/options.ts';
import type { Directive, Plugin, PluginDeps } from '../../plugin.ts';
import { failure, type Outcome } from '../../query.ts';
import { EDE } from '../../wire/numbers.ts';

const TIMEOUT_MS = 5001;

/** `cancel [TIMEOUT]`: what takes longer is given up and answered SERVFAIL. */
export const cancel: Directive = {
  name: 'cancel',
  setup(context) {
    expectArgs(context, context.stanza, 0, 1);
    expectNoBody(context);
    const token = context.stanza.args[0];
    const timeoutMs = token ? readDurationMs(context, token) : TIMEOUT_MS;
    if (timeoutMs === undefined) return undefined;
    if (timeoutMs <= 0 && token) context.fault(token, 'the timeout must be longer than nothing');
    return (deps) => openCancel(deps, timeoutMs);
  },
};

function openCancel({ clock }: PluginDeps, timeoutMs: number): Plugin {
  const text = `no answer within ${timeoutMs} ms`;
  return {
    name: 'cancel',
    transparent: true,
    serve: (query, next) => {
      const late = new AbortController();
      const outcome = next({ ...query, signal: late.signal });
      if (!(outcome instanceof Promise)) return outcome;
      // By hand: AbortSignal.any would hang one more signal on a long-lived one for each question.
      const onAbort = (): void => late.abort(query.signal.reason);
      if (query.signal.aborted) onAbort();
      query.signal.addEventListener('abort', onAbort, { once: true });
      return new Promise<Outcome>((resolve, reject) => {
        const timer = clock.setTimer(timeoutMs, () => {
          late.abort(new Error(text));
          resolve(failure('SERVFAIL', text, { code: EDE.OTHER, text }));
        });
        outcome.then(resolve, reject).finally(() => {
          timer[Symbol.dispose]();
          query.signal.removeEventListener('abort', onAbort);
        });
      });
    },
  };
}
