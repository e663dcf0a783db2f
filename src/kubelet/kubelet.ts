import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Registry } from '../base/metrics.ts';
import type { Exec } from '../net/exec.ts';
import type { ApiClient } from '../api/client/client.ts';
import { type EventRecorder, openEventRecorder } from '../api/client/event-recorder.ts';
import type { Informer, InformerEvent } from '../api/client/informer.ts';
import { openInformer } from '../api/client/open-informer.ts';
import { resources } from '../api/client/resources.ts';
import { objectKey } from '../api/kinds/meta.ts';
import type { Pod, PodStatus } from '../api/kinds/pod.ts';
import type { KubeletDoor } from '../api/kinds/pod-streams.ts';
import type { NodeUsage } from '../api/kinds/usage.ts';
import { ApiSources } from './sources/api-sources.ts';
import type { ImageMap } from './containers/image-map.ts';
import { LaunchPlanner } from './containers/launch-planner.ts';
import { PROBES_IN_FLIGHT_MAX, VOLUME_REFRESH_MS } from './limits.ts';
import { isMirror, MirrorPods } from './sources/mirror-pods.ts';
import { NodeAgent, nodeCapacity } from './node-agent.ts';
import { PodAddresses } from './pods/pod-addresses.ts';
import { PodKeeper } from './pods/pod-keeper.ts';
import { Slots } from './probes/slots.ts';
import { runExec } from './runtime/container-exec.ts';
import { PodFolders } from './runtime/container-record.ts';
import { ProcessRuntime } from './runtime/process-runtime.ts';
import { kubeletPages } from './server/pages.ts';
import { StaticPods } from './sources/static-pods.ts';
import { StatusReporter } from './pods/status-reporter.ts';
import { podStreams } from './streams.ts';
import { containerUsage, hostUsage, registerUsageMetrics } from './usage.ts';

export interface KubeletDeps {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly exec: Exec;
  /** 0..1; spreads retries. */
  readonly random: () => number;
  readonly metrics?: Registry;
}

export interface KubeletOptions {
  readonly nodeName: string;
  /** Pods, logs and claims lie below; the same folder finds the pods of the last kubelet again. */
  readonly dataDir: string;
  readonly hostIP: string;
  readonly podCidr: string;
  readonly clusterDns: string;
  readonly clusterDomain: string;
  /** Given to every container first: at least PATH. */
  readonly hostEnv: Readonly<Record<string, string>>;
  readonly version: string;
  readonly imageMap?: ImageMap;
  readonly staticPodDir?: string;
  readonly nodeLabels?: Readonly<Record<string, string>>;
  /** Where the API server finds this kubelet; absent: it runs in the same process. */
  readonly endpoint?: { readonly port: number; readonly certificatePem: string };
}

/** How long pods get at most when the host stops, and how long their last statuses are waited for. */
export interface StopOptions {
  readonly graceSecondsMax: number;
}

/**
 * Pods on this host. Disposing leaves them running, to be found again by the next kubelet of the same dataDir;
 * `stopPods` before that ends them.
 */
export class Kubelet implements AsyncDisposable {
  readonly door: KubeletDoor;
  readonly #deps: KubeletDeps;
  readonly #options: KubeletOptions;
  readonly #runtime: ProcessRuntime;
  readonly #keeper: PodKeeper;
  readonly #sources: ApiSources;
  readonly #reporter: StatusReporter;
  readonly #recorder: EventRecorder;
  readonly #pods: Informer<Pod>;
  readonly #node: NodeAgent;
  readonly #mirrors: MirrorPods;
  readonly #staticPods: StaticPods | undefined;
  #refreshTimer: Disposable | undefined;

  private constructor(deps: KubeletDeps, options: KubeletOptions) {
    this.#deps = deps;
    this.#options = options;
    const { client } = deps;
    const folders = new PodFolders(options.dataDir);
    const kubeletId = readKubeletId(options.dataDir);
    const kubeletUid = userInfo().uid;
    this.#runtime = new ProcessRuntime(deps, { folders, kubeletId });
    this.#sources = new ApiSources(deps, { dataDir: options.dataDir });
    this.#reporter = new StatusReporter(deps);
    this.#recorder = openEventRecorder(deps, { component: 'kubelet', host: options.nodeName });
    this.#node = new NodeAgent(deps, { ...options, labels: options.nodeLabels ?? {} });
    this.#mirrors = new MirrorPods({ ...deps, reporter: this.#reporter }, options);
    this.#keeper = this.#openKeeper(folders, kubeletId, kubeletUid);
    this.door = this.#openDoor(kubeletUid);
    if (options.staticPodDir !== undefined) this.#staticPods = this.#openStaticPods(options.staticPodDir);
    this.#pods = openInformer<Pod>(
      client,
      resources.pods,
      { fieldSelector: `spec.nodeName=${options.nodeName}` },
      deps,
    );
    this.#pods.subscribe((event) => this.#onPod(event));
    this.#refreshLater();
    if (deps.metrics) {
      registerUsageMetrics(deps.metrics, {
        usage: () => this.usage().containers,
        pods: () => this.runningPods,
      });
    }
  }

  /**
   * Resolves when the node is registered and the pods of an earlier kubelet are adopted or ended.
   * Rejects with Fault POD_CIDR for a range without room.
   */
  static async open(deps: KubeletDeps, options: KubeletOptions, signal?: AbortSignal): Promise<Kubelet> {
    mkdirSync(join(options.dataDir, 'pods'), { recursive: true, mode: 0o711 });
    const kubelet = new Kubelet({ ...deps, log: deps.log.with({ part: 'kubelet' }) }, options);
    await kubelet.#pods.synced(signal);
    const known = new Set(Array.from(kubelet.#pods.list(), ({ metadata }) => metadata.uid));
    await kubelet.#keeper.reapStrangers((uid) => known.has(uid));
    await kubelet.#node.registered;
    return kubelet;
  }

  /** What the host and each running container use now. */
  usage(): NodeUsage {
    const { nodeName } = this.#options;
    const atMs = this.#deps.clock.nowMs();
    const containers = containerUsage(this.#runtime, this.#keeper.workers, atMs);
    return { nodeName, atMs, node: hostUsage(), containers };
  }

  get runningPods(): number {
    return Array.from(this.#keeper.workers).filter((worker) => !worker.isEnded).length;
  }

  /** Ends all pods of this node, as at a host's shutdown: nothing of them is left running. Objects stay. */
  async stopPods(options: StopOptions): Promise<void> {
    this.#staticPods?.[Symbol.dispose]();
    await this.#keeper.stopAll(options.graceSecondsMax);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#refreshTimer?.[Symbol.dispose]();
    this.#staticPods?.[Symbol.dispose]();
    this.#mirrors[Symbol.dispose]();
    await this.#pods[Symbol.asyncDispose]();
    await this.#keeper.release();
    await this.#node[Symbol.asyncDispose]();
    await this.#reporter[Symbol.asyncDispose]();
    await this.#recorder[Symbol.asyncDispose]();
    await this.#sources[Symbol.asyncDispose]();
  }

  #openDoor(kubeletUid: number): KubeletDoor {
    const streams = podStreams({
      runtime: this.#runtime,
      kubeletUid,
      find: (namespace, name) => this.#keeper.find(namespace, name),
    });
    const page = kubeletPages({
      pods: () => Array.from(this.#keeper.workers, ({ pod, status }) => ({ ...pod, status })),
      usage: () => this.usage(),
      metrics: this.#deps.metrics,
    });
    return { ...streams, page };
  }

  #openKeeper(folders: PodFolders, kubeletId: string, kubeletUid: number): PodKeeper {
    const { imageMap = [], ...options } = this.#options;
    const runtime = this.#runtime;
    const host = { ...options, imageMap, uid: kubeletUid };
    const planner = new LaunchPlanner({ sources: this.#sources, folders, host });
    return new PodKeeper(
      {
        ...this.#deps,
        runtime,
        planner,
        sources: this.#sources,
        slots: new Slots(PROBES_IN_FLIGHT_MAX),
        addresses: new PodAddresses({ ...options, kubeletId, folders }),
        targetOf: (podIP) => (container, process) => ({
          container,
          podIP,
          run: (command, signal) => runExec({ table: runtime.table, kubeletUid }, process, command, signal),
        }),
        onStatus: (pod, status) => this.#onStatus(pod, status),
        event: (pod, type, reason, message) => this.#recorder.record(pod, type, reason, message),
        onGone: (pod) => this.#onGone(pod),
      },
      { ...options, allocatable: nodeCapacity() },
    );
  }

  #openStaticPods(folder: string): StaticPods {
    const { nodeName } = this.#options;
    return new StaticPods(
      {
        ...this.#deps,
        onPod: (pod) => {
          this.#mirrors.addStatic(pod);
          this.#keeper.upsert(pod);
        },
        onGone: (pod) => {
          this.#mirrors.removeStatic(pod);
          void this.#keeper.remove(pod);
        },
      },
      { folder, nodeName },
    );
  }

  #onPod(event: InformerEvent<Pod>): void {
    const pod = event.object;
    if (isMirror(pod)) {
      return this.#mirrors.observe(objectKey(pod), event.type === 'deleted' ? undefined : pod);
    }
    // A relist may show the successor of the same name in place of a deleted pod.
    if (event.type === 'updated' && event.old.metadata.uid !== pod.metadata.uid)
      void this.#keeper.remove(event.old);
    if (event.type === 'deleted') void this.#keeper.remove(pod);
    else this.#keeper.upsert(pod);
  }

  #onStatus(pod: Pod, status: PodStatus): void {
    const { namespace = '', name, uid = '' } = pod.metadata;
    if (this.#mirrors.owns(uid)) this.#mirrors.setStatus(pod, status);
    else this.#reporter.report({ namespace, name, uid }, status);
  }

  #onGone(pod: Pod): void {
    const { namespace = '', name, uid = '' } = pod.metadata;
    if (!this.#mirrors.owns(uid)) void this.#reporter.remove({ namespace, name, uid });
  }

  #refreshLater(): void {
    this.#refreshTimer = this.#deps.clock.setTimer(VOLUME_REFRESH_MS, () => {
      for (const worker of this.#keeper.workers) if (!worker.isEnded) worker.refresh();
      this.#refreshLater();
    });
  }
}

/** The name this kubelet's processes are marked with: made once for a data folder. */
function readKubeletId(dataDir: string): string {
  const path = join(dataDir, 'kubelet-id');
  try {
    const text = readFileSync(path, 'utf8').trim();
    if (/^[0-9a-f-]{36}$/.test(text)) return text;
  } catch {
    // a first start
  }
  const id = randomUUID();
  writeFileSync(path, `${id}\n`);
  return id;
}
