import { sharedCounter } from '../../plugin-metrics.ts';
import type { Plugin, PluginDeps } from '../../plugin.ts';

/** Looks at the Corefile and its imports every so often, off the beat by up to jitterMs, and reloads when they changed. */
export function openReload(
  deps: PluginDeps,
  options: { readonly intervalMs: number; readonly jitterMs: number },
): Plugin {
  const failed = sharedCounter(deps, {
    name: 'coredns_reload_failed_total',
    help: 'Counter of the number of failed reload attempts.',
    labelNames: [],
  });
  let timer: Disposable | undefined;
  let closed = false;
  const wait = (): void => {
    const offMs = (deps.random() * 2 - 1) * options.jitterMs;
    timer = deps.clock.setTimer(options.intervalMs + offMs, () => {
      void deps.host.reload().then((good) => {
        if (!good) failed.inc();
        if (!closed) wait();
      });
    });
  };
  wait();
  return {
    name: 'reload',
    transparent: true,
    serve: (query, next) => next(query),
    [Symbol.asyncDispose]: async () => {
      closed = true;
      timer?.[Symbol.dispose]();
    },
  };
}
