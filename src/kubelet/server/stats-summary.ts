import { formatTime } from '../../api/kinds/decode/time.ts';
import type { JsonObject } from '../../api/kinds/json-value.ts';
import type { NodeUsage, Usage } from '../../api/kinds/usage.ts';
import type { MeasuredUsage, UsageRate } from '../../api/kinds/usage-rates.ts';

/** What the kubelet answers to /stats/summary (kubelet/pkg/apis/stats/v1alpha1), as far as processes have it. */
export function statsSummary(reading: NodeUsage, rates: MeasuredUsage, uidOf: PodUid): JsonObject {
  const time = formatTime(reading.atMs);
  const pods = Map.groupBy(reading.containers, ({ namespace, pod }) => `${namespace}/${pod}`);
  return {
    node: { nodeName: reading.nodeName, ...stats(time, reading.node, rates.node) },
    pods: [...pods.values()].map((containers) => {
      const { namespace = '', pod: name = '' } = containers[0] ?? {};
      return {
        podRef: { name, namespace, uid: uidOf(namespace, name) },
        startTime: formatTime(Math.min(...containers.map((one) => one.startedAtMs))),
        containers: containers.map((one) => ({
          name: one.container,
          startTime: formatTime(one.startedAtMs),
          ...stats(
            time,
            one,
            rates.containers.find((rate) => isSame(rate, one)),
          ),
        })),
        process_stats: { process_count: containers.reduce((sum, one) => sum + (one.processes ?? 0), 0) },
      };
    }),
  };
}

type PodUid = (namespace: string, name: string) => string;

interface Named {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
}

const isSame = (a: Named, b: Named): boolean =>
  a.container === b.container && a.pod === b.pod && a.namespace === b.namespace;

function stats(time: string, usage: Usage, rate: UsageRate | undefined): JsonObject {
  const { workingSetBytes } = usage;
  return {
    cpu: {
      time,
      ...(rate && { usageNanoCores: Math.round(rate.cpuCores * 1e9) }),
      usageCoreNanoSeconds: Math.round(usage.cpuSeconds * 1e9),
    },
    memory: { time, workingSetBytes, rssBytes: workingSetBytes },
  };
}
