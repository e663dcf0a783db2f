import type { ContainerUsage, NodeUsage, Usage } from '../../api/kinds/usage.ts';

/** /metrics/resource as kubelet has it (KEP-1916), which metrics-server reads: Prometheus text with times. */
export function resourceMetrics({ atMs, node, containers }: NodeUsage): string {
  const lines: string[] = [];
  const family = <T>(
    [name, type, help]: readonly [name: string, type: string, help: string],
    items: readonly T[],
    sample: (item: T) => { readonly labels: string; readonly value: number },
    time = ` ${Math.round(atMs)}`,
  ): void => {
    if (items.length === 0) return;
    lines.push(`# HELP ${name} [STABLE] ${help}`, `# TYPE ${name} ${type}`);
    for (const item of items) {
      const { labels, value } = sample(item);
      lines.push(`${name}${labels} ${value}${time}`);
    }
  };
  const cpu = ({ cpuSeconds }: Usage): number => cpuSeconds;
  const memory = ({ workingSetBytes }: Usage): number => workingSetBytes;
  const ofContainer = (value: (one: ContainerUsage) => number) => (one: ContainerUsage) => ({
    labels: labelsOf({ container: one.container, namespace: one.namespace, pod: one.pod }),
    value: value(one),
  });
  const pods = [...Map.groupBy(containers, ({ namespace, pod }) => `${namespace}/${pod}`).values()];
  const ofPod = (value: (one: Usage) => number) => (own: readonly ContainerUsage[]) => ({
    labels: labelsOf({ namespace: own[0]?.namespace ?? '', pod: own[0]?.pod ?? '' }),
    value: own.reduce((sum, one) => sum + value(one), 0),
  });
  const ofNode = (value: number) => () => ({ labels: '', value });
  family(['container_cpu_usage_seconds_total', 'counter', CPU], containers, ofContainer(cpu));
  family(['container_memory_working_set_bytes', 'gauge', MEMORY], containers, ofContainer(memory));
  const started = ({ startedAtMs }: ContainerUsage): number => startedAtMs / 1000;
  family(['container_start_time_seconds', 'gauge', START], containers, ofContainer(started));
  family(['node_cpu_usage_seconds_total', 'counter', CPU], [node], ofNode(node.cpuSeconds));
  family(['node_memory_working_set_bytes', 'gauge', MEMORY], [node], ofNode(node.workingSetBytes));
  family(['pod_cpu_usage_seconds_total', 'counter', CPU], pods, ofPod(cpu));
  family(['pod_memory_working_set_bytes', 'gauge', MEMORY], pods, ofPod(memory));
  family(['resource_scrape_error', 'gauge', '1 if there was an error, 0 otherwise'], [0], ofNode(0), '');
  return `${lines.join('\n')}\n`;
}

const CPU = 'Cumulative cpu time consumed in core-seconds';
const MEMORY = 'Current working set in bytes';
const START = 'Start time since unix epoch in seconds';

/** Names of Kubernetes need no escapes. */
function labelsOf(labels: Readonly<Record<string, string>>): string {
  return `{${Object.entries(labels)
    .map(([name, value]) => `${name}="${value}"`)
    .join(',')}}`;
}
