import { readFileSync } from 'node:fs';
import { Gauge, type Registry } from '../base/metrics.ts';
import type { ContainerUsage, Usage } from '../api/kinds/usage.ts';
import type { PodWorker } from './pods/pod-worker.ts';
import type { ProcessRuntime } from './runtime/process-runtime.ts';
import { TICKS_PER_SECOND, ticksNow } from './runtime/process-table.ts';

const PAGE_BYTES = 4096;

/** Reads /proc once for all containers. The time of children is in their parents' when they ended. */
export function containerUsage(
  runtime: ProcessRuntime,
  workers: Iterable<PodWorker>,
  nowMs: number,
): ContainerUsage[] {
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
  const ticks = ticksNow();
  const out: ContainerUsage[] = [];
  for (const worker of workers) {
    const { namespace = '', name } = worker.pod.metadata;
    for (const container of worker.containers) {
      const { process } = container;
      const sum = process && byMarker.get(process.marker);
      if (!sum) continue;
      out.push({
        namespace,
        pod: name,
        container: container.name,
        startedAtMs: nowMs - ((ticks - process.record.startTicks) * 1000) / TICKS_PER_SECOND,
        cpuSeconds: sum.cpuTicks / TICKS_PER_SECOND,
        workingSetBytes: sum.pages * PAGE_BYTES,
        processes: sum.processes,
      });
    }
  }
  return out;
}

/** What the whole host uses (proc_stat(5), proc_meminfo(5)): busy time of all processors, memory not available. */
export function hostUsage(): Usage {
  return {
    cpuSeconds: busyTicks(readFileSync('/proc/stat', 'latin1')) / TICKS_PER_SECOND,
    workingSetBytes: usedBytes(readFileSync('/proc/meminfo', 'latin1')),
  };
}

/** user, nice, system, irq, softirq and steal of the `cpu` line; guests are in user, idle and iowait are not busy. */
export function busyTicks(stat: string): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] =
    /^cpu +(.*)$/m.exec(stat)?.[1]?.split(' ').map(Number) ?? [];
  return user + nice + system + irq + softirq + steal;
}

export function usedBytes(meminfo: string): number {
  const kibibytes = (name: string): number =>
    Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(meminfo)?.[1] ?? 0);
  return (kibibytes('MemTotal') - kibibytes('MemAvailable')) * 1024;
}

/** kubelet's and cAdvisor's names; values are read when they are asked for. */
export function registerUsageMetrics(
  registry: Registry,
  read: { usage(): readonly ContainerUsage[]; pods(): number },
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
    ['container_cpu_usage_seconds_total', 'CPU time of the processes', (one) => one.cpuSeconds],
    ['container_memory_working_set_bytes', 'Resident memory of the processes', (one) => one.workingSetBytes],
    ['container_processes', 'Processes of the container', (one) => one.processes ?? 0],
  ];
  for (const [name, help, value] of values) registry.registerMetric(usageGauge(name, help, value, read));
}

function usageGauge(
  name: string,
  help: string,
  value: (usage: ContainerUsage) => number,
  read: { usage(): readonly ContainerUsage[] },
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
