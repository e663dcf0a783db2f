import type { Gauge } from '../../../src/base/metrics.ts';
import type { PluginDeps } from '../../plugin.ts';
import { sharedGauge } from '../../plugin-metrics.ts';

const ENABLED = {
  name: 'coredns_plugin_enabled',
  help: 'A metric that indicates whether a plugin is enabled on per server and zone basis.',
  labelNames: ['server', 'zone', 'view', 'name'],
} as const;

/** Tells which plugins a block has, until it is disposed: a block of the next reading of the Corefile tells its own. */
export class EnabledPlugins implements Disposable {
  readonly #gauge: Gauge<'server' | 'zone' | 'view' | 'name'>;
  readonly #labels: readonly { server: string; zone: string; view: string; name: string }[];

  constructor(deps: PluginDeps) {
    this.#gauge = sharedGauge(deps, ENABLED);
    const view = deps.block.filters[0]?.name ?? '';
    const names = [...new Set(deps.chain.plugins.map(({ name }) => name))];
    this.#labels = deps.block.zones.flatMap((zone) =>
      names.map((name) => ({ server: deps.listener, zone, view, name })),
    );
    for (const labels of this.#labels) this.#gauge.inc(labels);
  }

  [Symbol.dispose](): void {
    for (const labels of this.#labels) this.#gauge.dec(labels);
  }
}
