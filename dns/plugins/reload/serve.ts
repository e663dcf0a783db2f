import { repeat } from '../../../src/base/repeat.ts';
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
  const intervalMs = (): number => options.intervalMs + (deps.random() * 2 - 1) * options.jitterMs;
  const reloading = repeat(deps.clock, intervalMs, async () => {
    if (!(await deps.host.reload())) failed.inc();
  });
  return {
    name: 'reload',
    transparent: true,
    serve: (query, next) => next(query),
    [Symbol.asyncDispose]: async () => reloading[Symbol.dispose](),
  };
}
