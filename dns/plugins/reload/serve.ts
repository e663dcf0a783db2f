import { repeat } from '../../../src/base/repeat.ts';
import { sharedCounter, sharedGauge } from '../../plugin-metrics.ts';
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
  showVersion(deps);
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

/** 1 for the Corefile that answers; for two of them while the old one's last questions end. */
function showVersion(deps: PluginDeps): void {
  const version = sharedGauge(deps, {
    name: 'coredns_reload_version_info',
    help: "A metric with a constant '1' value labeled by hash, and value which type of hash generated.",
    labelNames: ['hash', 'value'],
  });
  const labels = { hash: 'sha512', value: deps.host.corefileSha512 };
  deps.host.shared(`corefile ${labels.value}`, () => {
    version.set(labels, 1);
    return { [Symbol.asyncDispose]: async () => version.remove(labels) };
  });
}
