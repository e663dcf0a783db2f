import { expectArgs, readDurationMs } from '../../corefile/options.ts';
import type { Directive } from '../../plugin.ts';
import { openReload } from './serve.ts';

const DEFAULT_INTERVAL_MS = 30_000;
const DEFAULT_JITTER_MS = 15_000;
const MIN_INTERVAL_MS = 2000;
const MIN_JITTER_MS = 1000;

/** `reload [INTERVAL] [JITTER]`. */
export const reload: Directive = {
  name: 'reload',
  setup(context) {
    if (!expectArgs(context, context.stanza, 0, 2)) return undefined;
    const [interval, jitter] = context.stanza.args;
    const intervalMs = interval ? readDurationMs(context, interval) : DEFAULT_INTERVAL_MS;
    if (intervalMs !== undefined && intervalMs < MIN_INTERVAL_MS) {
      context.fault(interval!, `the interval must be at least ${MIN_INTERVAL_MS / 1000}s`);
    }
    const given = jitter
      ? readDurationMs(context, jitter)
      : Math.min(DEFAULT_JITTER_MS, (intervalMs ?? 0) / 2);
    if (jitter && given !== undefined && given < MIN_JITTER_MS) {
      context.fault(jitter, `the jitter must be at least ${MIN_JITTER_MS / 1000}s`);
    }
    if (intervalMs === undefined || given === undefined) return undefined;
    return (deps) => openReload(deps, { intervalMs, jitterMs: Math.min(given, intervalMs / 2) });
  },
};
