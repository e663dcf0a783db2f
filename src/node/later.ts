import { messageOf } from '../base/fault.ts';
import type { Logger } from '../base/log.ts';

/** Opens something while others serve already; disposal gives up what is not open yet and closes what is. */
export function openLater(
  { log }: { readonly log: Logger },
  open: (signal: AbortSignal) => Promise<AsyncDisposable>,
): AsyncDisposable {
  const abort = new AbortController();
  const opened = open(abort.signal).catch((error: unknown) => {
    if (!abort.signal.aborted) log.error('part not opened', { reason: messageOf(error) });
    return undefined;
  });
  return {
    async [Symbol.asyncDispose]() {
      abort.abort(new Error('stopped before it was open'));
      await (await opened)?.[Symbol.asyncDispose]();
    },
  };
}
