import { Counter, Gauge } from '../src/base/metrics.ts';
import type { PluginDeps } from './plugin.ts';

export interface MetricSpec<L extends string> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly L[];
}

/** A counter that the server has once, however many blocks use the plugin; unregistered after the last of them. */
export function sharedCounter<L extends string>(deps: PluginDeps, spec: MetricSpec<L>): Counter<L> {
  const { metrics } = deps;
  return deps.host.shared(`metric ${spec.name}`, () => {
    const counter = new Counter({ ...spec, registers: [metrics] });
    return unregistering(deps, spec.name, counter);
  }).metric;
}

/** As sharedCounter, for a gauge. */
export function sharedGauge<L extends string>(deps: PluginDeps, spec: MetricSpec<L>): Gauge<L> {
  const { metrics } = deps;
  return deps.host.shared(`metric ${spec.name}`, () => {
    const gauge = new Gauge({ ...spec, registers: [metrics] });
    return unregistering(deps, spec.name, gauge);
  }).metric;
}

function unregistering<M>(
  { metrics }: PluginDeps,
  name: string,
  metric: M,
): { readonly metric: M } & AsyncDisposable {
  return { metric, [Symbol.asyncDispose]: async () => metrics.removeSingleMetric(name) };
}
