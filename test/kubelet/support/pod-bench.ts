import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import type { ConfigMap, Secret } from '../../../src/api/kinds/config.ts';
import type { Pod, PodSpec, PodStatus } from '../../../src/api/kinds/pod.ts';
import type { Service } from '../../../src/api/kinds/service.ts';
import { exec } from '../../../src/net/exec.ts';
import { parseImageMapPair } from '../../../src/kubelet/containers/image-map.ts';
import { LaunchPlanner } from '../../../src/kubelet/containers/launch-planner.ts';
import type { PodSources, SourceReference } from '../../../src/kubelet/sources/pod-sources.ts';
import { PodWorker } from '../../../src/kubelet/pods/pod-worker.ts';
import { Slots } from '../../../src/kubelet/probes/slots.ts';
import { PodFolders } from '../../../src/kubelet/runtime/container-record.ts';
import { runExec } from '../../../src/kubelet/runtime/container-exec.ts';
import { ProcessRuntime } from '../../../src/kubelet/runtime/process-runtime.ts';

/** Sources a test fills by hand. */
export class BenchSources implements PodSources {
  readonly configMaps = new Map<string, ConfigMap>();
  readonly secrets = new Map<string, Secret>();
  readonly serviceList: Service[] = [];
  readonly claims = new Map<string, string>();
  readonly #listeners = new Set<{ references: readonly SourceReference[]; listener: () => void }>();

  configMap = (_namespace: string, name: string): Promise<ConfigMap | undefined> =>
    Promise.resolve(this.configMaps.get(name));
  secret = (_namespace: string, name: string): Promise<Secret | undefined> =>
    Promise.resolve(this.secrets.get(name));
  services = (): Promise<Iterable<Service>> => Promise.resolve(this.serviceList);
  claimFolder = (_namespace: string, name: string): Promise<string | undefined> =>
    Promise.resolve(this.claims.get(name));
  serviceAccountToken = (): Promise<undefined> => Promise.resolve(undefined);

  onChange(_podUid: string, references: readonly SourceReference[], listener: () => void): Disposable {
    const entry = { references, listener };
    this.#listeners.add(entry);
    return { [Symbol.dispose]: () => void this.#listeners.delete(entry) };
  }

  setConfigMap(name: string, data: Record<string, string>): void {
    this.configMaps.set(name, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data });
    for (const { references, listener } of this.#listeners) {
      if (references.some((one) => one.name === name)) listener();
    }
  }
}

/** A runtime in a folder of its own, with pods fed by hand: everything real but the API. */
export class PodBench implements AsyncDisposable {
  readonly dataDir: string;
  readonly sources = new BenchSources();
  readonly runtime: ProcessRuntime;
  readonly events: string[] = [];
  readonly statuses: PodStatus[] = [];
  readonly #workers: PodWorker[] = [];
  readonly #owned: boolean;
  readonly #hostEnv: Readonly<Record<string, string>>;

  constructor(
    dataDir?: string,
    hostEnv: Readonly<Record<string, string>> = { PATH: '/usr/local/bin:/usr/bin:/bin' },
  ) {
    this.#hostEnv = hostEnv;
    this.#owned = dataDir === undefined;
    this.dataDir = dataDir ?? mkdtempSync(join(tmpdir(), 'weft-kubelet-'));
    const deps = { clock: systemClock, log: silentLogger, exec };
    this.runtime = new ProcessRuntime(deps, {
      folders: new PodFolders(this.dataDir),
      kubeletId: `bench-${this.dataDir}`.replaceAll('/', '-'),
    });
  }

  start(pod: Pod, options: { imageMap?: string; resumed?: boolean; podIP?: string } = {}): PodWorker {
    const uid = userInfo().uid;
    const { runtime, sources } = this;
    const planner = new LaunchPlanner({
      sources,
      folders: runtime.folders,
      host: {
        hostEnv: this.#hostEnv,
        imageMap: options.imageMap ? parseImageMapPair(options.imageMap) : [],
        clusterDns: '127.96.0.10',
        clusterDomain: 'cluster.local',
        uid,
      },
    });
    const podIP = options.podIP ?? '127.244.9.1';
    const worker = new PodWorker(
      {
        clock: systemClock,
        log: silentLogger,
        runtime,
        slots: new Slots(8),
        sources,
        planner,
        random: () => 0.5,
        target: (container, process) => ({
          container,
          podIP,
          run: (command, signal) =>
            runExec({ table: runtime.table, kubeletUid: uid }, process, command, signal),
        }),
        event: (_type, reason, message) => this.events.push(`${reason}: ${message}`),
        onStatus: (status) => this.statuses.push(status),
      },
      {
        pod,
        podIP,
        hostIP: '127.0.0.1',
        nodeName: 'bench',
        allocatable: { cpu: '2', memory: '1Gi' },
        resumed: options.resumed ?? false,
      },
    );
    this.#workers.push(worker);
    return worker;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate(0)));
    await this.runtime.reap(() => false);
    if (this.#owned) rmSync(this.dataDir, { recursive: true, force: true });
  }
}

let serial = 0;

export function pod(spec: Partial<PodSpec> & Pick<PodSpec, 'containers'>, name = `pod-${serial++}`): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', uid: `uid-${name}`, labels: { app: name } },
    spec: { terminationGracePeriodSeconds: 5, ...spec },
  };
}

/** One shell command as a container. */
export function shell(script: string, more: object = {}): PodSpec['containers'][number] {
  return { name: 'main', image: 'shell', command: ['sh', '-c', script], ...more };
}
