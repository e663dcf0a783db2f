import type { Pki } from './identity/pki.ts';
import { UsageMetrics } from './metrics/usage-metrics.ts';
import { proxyHandler } from './proxy/proxy-handler.ts';
import { kubelets, type LocalKubelet, streamsOf } from './stream/kubelets.ts';
import type { StreamsSource } from './stream/target.ts';
import type { Core } from './verbs/context.ts';
import type { SubresourceHandler, VirtualTable } from './verbs/dispatch.ts';

/** All that goes through kubelets. */
export interface KubeletAccess {
  readonly streams: StreamsSource;
  readonly proxy: SubresourceHandler;
  /** metrics.k8s.io */
  readonly metrics: VirtualTable;
  /** From now on a kubelet of this process answers for its node; resolves when its metrics were read. */
  attach(kubelet: LocalKubelet): Promise<void>;
}

export function openKubeletAccess(core: Core, pki: Pki, stack: AsyncDisposableStack): KubeletAccess {
  let local: LocalKubelet | undefined;
  const ways = kubelets(core, pki, () => local);
  const { handler, agents } = proxyHandler(ways);
  stack.use(agents);
  const usage = stack.use(new UsageMetrics(core, ways));
  void usage.begin();
  return {
    streams: streamsOf(ways),
    proxy: handler,
    metrics: usage.handlers,
    attach: async (kubelet) => {
      local = kubelet;
      await usage.begin();
    },
  };
}
