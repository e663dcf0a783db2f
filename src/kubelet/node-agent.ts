import { readFileSync, statfsSync } from 'node:fs';
import { arch, cpus, freemem, hostname, release, totalmem } from 'node:os';
import { type Clock, sleep } from '../base/clock.ts';
import { messageOf } from '../base/fault.ts';
import type { Logger } from '../base/log.ts';
import { type ApiClient, ApiError } from '../api/client/client.ts';
import { orUndefined } from '../api/client/or-undefined.ts';
import { resources } from '../api/client/resources.ts';
import { type Lease, microTime, secondTime } from '../api/kinds/lease.ts';
import type { Condition, ObjectMeta } from '../api/kinds/meta.ts';
import { HOSTNAME_LABEL, KUBELET_CERTIFICATE_ANNOTATION, type Node } from '../api/kinds/node.ts';
import {
  DISK_PRESSURE_FREE_SHARE,
  MEMORY_PRESSURE_FREE_BYTES,
  NODE_LEASE_DURATION_SECONDS,
  NODE_LEASE_RENEW_MS,
  NODE_PODS_MAX,
  NODE_STATUS_INTERVAL_MS,
} from './limits.ts';
import { readBootId } from './runtime/process-table.ts';

interface AgentDeps {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface NodeAgentOptions {
  readonly nodeName: string;
  readonly hostIP: string;
  /** Undefined: no pods run here by our hand, or somebody else assigns the range. */
  readonly podCidr: string | undefined;
  readonly dataDir: string;
  readonly version: string;
  readonly labels: Readonly<Record<string, string>>;
  /** True: no pods are to be placed here, for nobody runs them. */
  readonly unschedulable?: boolean;
  /** Where the API server finds this kubelet; absent: in its own process, or not at all. */
  readonly endpoint?: { readonly port: number; readonly certificatePem: string };
}

const LEASE_NAMESPACE = 'kube-node-lease';

/** What this host has to give, as quantities. */
export function nodeCapacity(): Record<string, string> {
  return {
    cpu: String(cpus().length),
    memory: `${Math.floor(totalmem() / 1024)}Ki`,
    pods: String(NODE_PODS_MAX),
  };
}

/** Keeps this host's Node object and lease: registers, then renews the lease each 10 s and the status each 5 min. */
export class NodeAgent implements AsyncDisposable {
  readonly #deps: AgentDeps;
  readonly #options: NodeAgentOptions;
  readonly #abort = new AbortController();
  readonly #running: Promise<unknown>;
  #registered = Promise.withResolvers<void>();

  constructor(deps: AgentDeps, options: NodeAgentOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#running = Promise.all([
      this.#repeat('node status', NODE_STATUS_INTERVAL_MS, () => this.#updateNode()),
      this.#repeat('node lease', NODE_LEASE_RENEW_MS, () => this.#renewLease()),
    ]);
  }

  /** Resolves once the Node object stands. */
  get registered(): Promise<void> {
    return this.#registered.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error('node agent disposed'));
    await this.#running;
  }

  /** Failures are tried again at the lease's pace: the original gives up a node after 40 s without one. */
  async #repeat(what: string, intervalMs: number, work: () => Promise<void>): Promise<void> {
    let failures = 0;
    while (!this.#abort.signal.aborted) {
      let waitMs = intervalMs;
      try {
        await work();
        failures = 0;
      } catch (error) {
        if (this.#abort.signal.aborted) return;
        waitMs = Math.min(intervalMs, NODE_LEASE_RENEW_MS, 200 * 2 ** failures++);
        if (failures === 3) this.#deps.log.warn(`${what} not written`, { reason: messageOf(error) });
      }
      await sleep(this.#deps.clock, waitMs, this.#abort.signal).catch(() => {}); // disposed: the loop ends
    }
  }

  async #updateNode(): Promise<void> {
    const { client } = this.#deps;
    const { nodeName } = this.#options;
    const { signal } = this.#abort;
    const present = await orUndefined(client.get<Node>(resources.nodes, nodeName, undefined, signal));
    if (!present) await client.create<Node>(resources.nodes, this.#node(), { signal });
    const status = this.#status(present?.status?.conditions ?? []);
    const metadata = { labels: this.#labels(), annotations: this.#annotations() };
    if (present && !hasAll(present.metadata, metadata)) {
      await client.patch(resources.nodes, nodeName, undefined, 'merge', { metadata }, { signal });
    }
    await client.patch(
      resources.nodes,
      nodeName,
      undefined,
      'merge',
      { status },
      {
        subresource: 'status',
        fieldManager: 'kubelet',
        signal,
      },
    );
    this.#registered.resolve();
  }

  #node(): Node {
    const { nodeName, podCidr } = this.#options;
    return {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: nodeName, labels: this.#labels(), annotations: this.#annotations() },
      spec: {
        ...(podCidr !== undefined && { podCIDR: podCidr, podCIDRs: [podCidr] }),
        ...(this.#options.unschedulable && { unschedulable: true }),
      },
    };
  }

  #labels(): Record<string, string> {
    const cpu = GO_ARCH[arch()] ?? arch();
    return {
      [HOSTNAME_LABEL]: this.#options.nodeName,
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': cpu,
      ...this.#options.labels,
    };
  }

  #annotations(): Record<string, string> {
    const { endpoint } = this.#options;
    return endpoint ? { [KUBELET_CERTIFICATE_ANNOTATION]: endpoint.certificatePem } : {};
  }

  #status(previous: readonly Condition[]): Node['status'] {
    const { hostIP, version, endpoint } = this.#options;
    const capacity = nodeCapacity();
    const others = previous.filter(({ type }) => !OWN_CONDITIONS.has(type));
    return {
      addresses: [
        { type: 'InternalIP', address: hostIP },
        { type: 'Hostname', address: hostname() },
      ],
      conditions: [...this.#conditions(previous), ...others],
      capacity,
      allocatable: capacity,
      ...(endpoint && { daemonEndpoints: { kubeletEndpoint: { Port: endpoint.port } } }),
      nodeInfo: {
        architecture: GO_ARCH[arch()] ?? arch(),
        bootID: readBootId(),
        containerRuntimeVersion: `weft://${version}`,
        kernelVersion: release(),
        kubeProxyVersion: '',
        kubeletVersion: `v1.35.0+weft-${version}`,
        machineID: firstLine('/etc/machine-id'),
        operatingSystem: 'linux',
        osImage: osName(),
        systemUUID: firstLine('/sys/class/dmi/id/product_uuid'),
      },
    };
  }

  #conditions(previous: readonly Condition[]): Condition[] {
    const disk = statfsSync(this.#options.dataDir);
    const diskPressure = disk.bavail < disk.blocks * DISK_PRESSURE_FREE_SHARE;
    const memoryPressure = freemem() < MEMORY_PRESSURE_FREE_BYTES;
    return [
      memoryPressure
        ? condition(
            'MemoryPressure',
            'True',
            'KubeletHasInsufficientMemory',
            'kubelet has insufficient memory available',
          )
        : condition(
            'MemoryPressure',
            'False',
            'KubeletHasSufficientMemory',
            'kubelet has sufficient memory available',
          ),
      diskPressure
        ? condition('DiskPressure', 'True', 'KubeletHasDiskPressure', 'kubelet has disk pressure')
        : condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
      condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
      condition('Ready', 'True', 'KubeletReady', 'kubelet is posting ready status'),
    ].map((next) => this.#withTimes(next, previous));
  }

  #withTimes(next: Condition, previous: readonly Condition[]): Condition {
    const now = secondTime(this.#deps.clock.nowMs());
    const before = previous.find(({ type }) => type === next.type);
    const kept = before?.status === next.status ? before.lastTransitionTime : undefined;
    return { ...next, lastTransitionTime: kept ?? now, lastHeartbeatTime: now } as Condition;
  }

  async #renewLease(): Promise<void> {
    const { client, clock } = this.#deps;
    const { nodeName } = this.#options;
    const { signal } = this.#abort;
    const renewTime = microTime(clock.nowMs());
    const patch = { spec: { renewTime, holderIdentity: nodeName } };
    try {
      await client.patch(resources.leases, nodeName, LEASE_NAMESPACE, 'merge', patch, { signal });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      const lease: Lease = {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name: nodeName, namespace: LEASE_NAMESPACE },
        spec: { ...patch.spec, leaseDurationSeconds: NODE_LEASE_DURATION_SECONDS },
      };
      await client.create<Lease>(resources.leases, lease, { signal });
    }
  }
}

/** Empty when there is no such file, or it is not for us. */
function firstLine(path: string): string {
  try {
    return readFileSync(path, 'latin1').split('\n')[0]?.trim() ?? '';
  } catch {
    return '';
  }
}

/** PRETTY_NAME of os-release(5). */
function osName(): string {
  try {
    const text = readFileSync('/etc/os-release', 'utf8');
    return /^PRETTY_NAME="?([^"\n]+)"?$/m.exec(text)?.[1] ?? 'Linux';
  } catch {
    return 'Linux';
  }
}

const OWN_CONDITIONS = new Set(['MemoryPressure', 'DiskPressure', 'PIDPressure', 'Ready']);

/** Node's names of processors that differ from Go's, which Kubernetes uses. */
const GO_ARCH: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };

type Marks = Pick<ObjectMeta, 'labels' | 'annotations'>;

function hasAll(present: Marks, wanted: Marks): boolean {
  return (['labels', 'annotations'] as const).every((field) =>
    Object.entries(wanted[field] ?? {}).every(([key, value]) => present[field]?.[key] === value),
  );
}

function condition(type: string, status: Condition['status'], reason: string, message: string): Condition {
  return { type, status, reason, message };
}
