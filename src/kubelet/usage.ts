import { Gauge, type Registry } from '../base/metrics.ts';
import type { PodWorker } from './pod-worker.ts';
import type { ProcessRuntime } from './runtime/process-runtime.ts';
import { TICKS_PER_SECOND } from './runtime/process-table.ts';

/** What one container uses now, summed over its processes. */
export interface ContainerUsage {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  readonly processes: number;
}

const PAGE_BYTES = 4096;

/** Reads /proc once for all containers. CPU time of children that ended is not in it. */
export function containerUsage(runtime: ProcessRuntime, workers: Iterable<PodWorker>): ContainerUsage[] {
  const byMarker = new Map<string, { cpuTicks: number; pages: number; processes: number }>();
  for (const stat of runtime.table.list()) {
    const marker = runtime.table.markerOf(stat);
    if (!marker) continue;
    const sum = byMarker.get(marker) ?? { cpuTicks: 0, pages: 0, processes: 0 };
    sum.cpuTicks += stat.cpuTicks;
    sum.pages += stat.residentPages;
    sum.processes += 1;
    byMarker.set(marker, sum);
  }
  const out: ContainerUsage[] = [];
  for (const worker of workers) {
    const { namespace = '', name } = worker.pod.metadata;
    for (const container of worker.containers) {
      const sum = container.process && byMarker.get(container.process.marker);
      if (!sum) continue;
      out.push({
        namespace,
        pod: name,
        container: container.name,
        cpuSeconds: sum.cpuTicks / TICKS_PER_SECOND,
        residentBytes: sum.pages * PAGE_BYTES,
        processes: sum.processes,
      });
    }
  }
  return out;
}

/** kubelet's and cAdvisor's names; values are read when they are asked for. */
export function registerUsageMetrics(
  registry: Registry,
  read: { usage(): ContainerUsage[]; pods(): number },
): void {
  const runningPods = new Gauge({
    name: 'kubelet_running_pods',
    help: 'Pods with a running container',
    registers: [],
    collect() {
      this.set(read.pods());
    },
  });
  registry.registerMetric(runningPods);
  const values: readonly [string, string, (usage: ContainerUsage) => number][] = [
    ['container_cpu_usage_seconds_total', 'CPU time of the living processes', (one) => one.cpuSeconds],
    ['container_memory_working_set_bytes', 'Resident memory of the processes', (one) => one.residentBytes],
    ['container_processes', 'Processes of the container', (one) => one.processes],
  ];
  for (const [name, help, value] of values) registry.registerMetric(usageGauge(name, help, value, read));
}

function usageGauge(
  name: string,
  help: string,
  value: (usage: ContainerUsage) => number,
  read: { usage(): ContainerUsage[] },
): Gauge {
  return new Gauge({
    name,
    help,
    labelNames: ['namespace', 'pod', 'container'],
    registers: [],
    collect() {
      this.reset();
      for (const one of read.usage()) {
        this.set({ namespace: one.namespace, pod: one.pod, container: one.container }, value(one));
      }
    },
  });
}
