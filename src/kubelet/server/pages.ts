import type { Registry } from '../../base/metrics.ts';
import type { JsonObject } from '../../api/kinds/json-value.ts';
import type { Pod } from '../../api/kinds/pod.ts';
import type { KubeletPage } from '../../api/kinds/pod-streams.ts';
import type { NodeUsage } from '../../api/kinds/usage.ts';
import { USAGE_APART_MS } from '../limits.ts';
import { measured } from '../../api/kinds/usage-rates.ts';
import { resourceMetrics } from './resource-metrics.ts';
import { statsSummary } from './stats-summary.ts';

export interface PagesDeps {
  /** Pods of this node with their present status. */
  pods(): readonly Pod[];
  usage(): NodeUsage;
  readonly metrics: Registry | undefined;
}

/** The pages of a kubelet by path, in the original's forms. */
export function kubeletPages(deps: PagesDeps): (path: string) => Promise<KubeletPage | undefined> {
  const usage = new Readings(() => deps.usage());
  const ok = (): KubeletPage => plain('ok');
  const running = (): Pod[] => deps.pods().filter(({ status }) => status?.phase === 'Running');
  const pages: Readonly<Record<string, () => KubeletPage | Promise<KubeletPage>>> = {
    '/healthz': ok,
    '/healthz/ping': ok,
    '/healthz/syncloop': ok,
    '/healthz/log': ok,
    '/metrics': async () => metricsText(await (deps.metrics?.metrics() ?? '')),
    '/metrics/cadvisor': async () => metricsText(await containerMetrics(deps.metrics)),
    '/metrics/resource': () => metricsText(resourceMetrics(usage.read().current)),
    '/pods': () => podList(deps.pods()),
    '/runningpods': () => podList(running()),
    '/stats/summary': () => {
      const { current, previous } = usage.read();
      const pods = deps.pods();
      const uidOf = (namespace: string, name: string): string =>
        pods.find(({ metadata }) => metadata.name === name && metadata.namespace === namespace)?.metadata
          .uid ?? '';
      return json(statsSummary(current, measured(current, previous), uidOf));
    },
  };
  return async (path) => await pages[path.length > 1 ? path.replace(/\/$/, '') : path]?.();
}

/** Two readings with some time between them: CPU use is the difference of two counters. */
class Readings {
  readonly #read: () => NodeUsage;
  #older: NodeUsage | undefined;
  #newer: NodeUsage | undefined;

  constructor(read: () => NodeUsage) {
    this.#read = read;
  }

  /** Reads now; `previous` is the last one that is not too close. */
  read(): { readonly current: NodeUsage; readonly previous: NodeUsage | undefined } {
    const current = this.#read();
    if (!this.#newer || current.atMs - this.#newer.atMs >= USAGE_APART_MS) {
      this.#older = this.#newer;
      this.#newer = current;
    }
    return { current, previous: this.#newer === current ? this.#older : (this.#older ?? this.#newer) };
  }
}

async function containerMetrics(metrics: Registry | undefined): Promise<string> {
  if (!metrics) return '';
  const names = metrics.getMetricsAsArray().map(({ name }) => name);
  const own = names.filter((name) => name.startsWith('container_'));
  return (await Promise.all(own.map((name) => metrics.getSingleMetricAsString(name)))).join('\n');
}

function podList(items: readonly Pod[]): KubeletPage {
  return json({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items });
}

function json(value: JsonObject | object): KubeletPage {
  return { contentType: 'application/json', text: JSON.stringify(value) };
}

function plain(text: string): KubeletPage {
  return { contentType: 'text/plain; charset=utf-8', text };
}

function metricsText(text: string): KubeletPage {
  const ended = text.endsWith('\n') ? text : `${text}\n`;
  return { contentType: 'text/plain; version=0.0.4; charset=utf-8', text: ended };
}
