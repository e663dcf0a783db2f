import type { ContainerUsage, NodeUsage } from '../../kinds/usage.ts';

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly atMs: number | undefined;
}

const LINE = /^(\w+)(?:\{(.*)\})? (\S+)(?: (\d+))?$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** Reads what a kubelet has at /metrics/resource (Prometheus text format); other metrics and broken lines are left out. */
export function parseResourceMetrics(nodeName: string, text: string, nowMs: number): NodeUsage {
  const node = { cpuSeconds: 0, workingSetBytes: 0 };
  const containers = new Map<string, Writable<ContainerUsage>>();
  let atMs: number | undefined;
  for (const line of text.split('\n')) {
    const sample = parseSample(line);
    if (!sample) continue;
    const { name, value } = sample;
    if (name === 'node_cpu_usage_seconds_total') {
      node.cpuSeconds = value;
      atMs = sample.atMs;
    } else if (name === 'node_memory_working_set_bytes') node.workingSetBytes = value;
    else if (name.startsWith('container_')) addContainer(containers, sample);
  }
  return { nodeName, atMs: atMs ?? nowMs, node, containers: [...containers.values()] };
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

function addContainer(
  containers: Map<string, Writable<ContainerUsage>>,
  { name, labels, value }: Sample,
): void {
  const { namespace = '', pod = '', container = '' } = labels;
  const key = `${namespace}/${pod}/${container}`;
  const known = containers.get(key);
  const entry = known ?? { namespace, pod, container, startedAtMs: 0, cpuSeconds: 0, workingSetBytes: 0 };
  if (!known) containers.set(key, entry);
  if (name === 'container_cpu_usage_seconds_total') entry.cpuSeconds = value;
  if (name === 'container_memory_working_set_bytes') entry.workingSetBytes = value;
  if (name === 'container_start_time_seconds') entry.startedAtMs = value * 1000;
}

function parseSample(line: string): Sample | undefined {
  const [, name, labels = '', text, time] = LINE.exec(line) ?? [];
  const value = Number(text);
  if (name === undefined || !Number.isFinite(value)) return undefined;
  const pairs = Array.from(labels.matchAll(LABEL), ([, key = '', quoted = '']) => [key, unquoted(quoted)]);
  return {
    name,
    labels: Object.fromEntries(pairs) as Record<string, string>,
    value,
    atMs: time === undefined ? undefined : Number(time),
  };
}

function unquoted(text: string): string {
  return text.replaceAll(/\\(.)/g, (_whole, char: string) => (char === 'n' ? '\n' : char));
}
