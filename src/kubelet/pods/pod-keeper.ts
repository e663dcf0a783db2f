import { mkdirSync, rmSync } from 'node:fs';
import type { Logger } from '../../base/log.ts';
import type { Pod, PodStatus } from '../../api/kinds/pod.ts';
import { knownPods, type PodAddresses, writePodRecord } from './pod-addresses.ts';
import { PodWorker, type PodWorkerDeps } from './pod-worker.ts';
import type { ProcessRuntime } from '../runtime/process-runtime.ts';

export interface KeeperDeps extends Omit<PodWorkerDeps, 'event' | 'onStatus' | 'target'> {
  readonly log: Logger;
  readonly runtime: ProcessRuntime;
  readonly addresses: PodAddresses;
  targetOf(podIP: string): PodWorkerDeps['target'];
  onStatus(pod: Pod, status: PodStatus): void;
  event(pod: Pod, type: 'Normal' | 'Warning', reason: string, message: string): void;
  /** A pod that was asked to go has: its object may be removed. */
  onGone(pod: Pod): void;
}

export interface KeeperOptions {
  readonly hostIP: string;
  readonly nodeName: string;
  readonly allocatable: Readonly<Record<string, string>>;
}

/** The pods of this node, whatever told of them: starts, updates and ends a worker for each uid. */
export class PodKeeper {
  readonly #deps: KeeperDeps;
  readonly #options: KeeperOptions;
  readonly #workers = new Map<string, PodWorker>();
  /** Pods that were running when we started: found by the marks on their processes. */
  readonly #running = new Set<string>();
  #closed = false;

  constructor(deps: KeeperDeps, options: KeeperOptions) {
    this.#deps = deps;
    this.#options = options;
    for (const uid of deps.runtime.runningPods()) this.#running.add(uid);
  }

  get workers(): Iterable<PodWorker> {
    return this.#workers.values();
  }

  find(namespace: string, name: string): PodWorker | undefined {
    let found: PodWorker | undefined;
    for (const worker of this.#workers.values()) {
      const { metadata } = worker.pod;
      if (metadata.name === name && metadata.namespace === namespace) found = worker; // the youngest one
    }
    return found;
  }

  /** A pod as it should be now. Safe to call again with the same. */
  upsert(pod: Pod): void {
    const uid = pod.metadata.uid ?? '';
    if (this.#closed || !uid) return;
    const worker = this.#workers.get(uid) ?? this.#start(pod);
    if (!worker) return;
    if (worker.pod !== pod) worker.update(pod);
    if (pod.metadata.deletionTimestamp) void this.#terminate(worker);
  }

  /** The object is gone: whatever still runs of it goes too, with its folder and address. */
  async remove(pod: Pod): Promise<void> {
    const uid = pod.metadata.uid ?? '';
    const worker = this.#workers.get(uid);
    if (worker) await worker.terminate(graceSecondsOf(pod));
    if (this.#closed) return;
    this.#workers.delete(uid);
    this.#running.delete(uid);
    this.#forget(uid);
  }

  /**
   * Ends and forgets what no pod stands for: called once when the first complete list has been seen.
   * @param exists says which uids the API has, ended ones too: their logs stay
   */
  async reapStrangers(exists: (uid: string) => boolean): Promise<void> {
    const { runtime, log } = this.#deps;
    const ended = await runtime.reap((uid) => this.#workers.has(uid));
    if (ended > 0) log.info('ended processes of pods that are gone', { count: ended });
    for (const uid of knownPods(runtime.folders)) {
      if (!this.#workers.has(uid) && !exists(uid)) this.#forget(uid);
    }
  }

  /** Ends all pods, as at a host's shutdown; their objects stay. */
  async stopAll(graceSecondsMax: number): Promise<void> {
    this.#closed = true;
    const workers = Array.from(this.#workers.values());
    await Promise.all(
      workers.map((worker) => worker.terminate(Math.min(graceSecondsOf(worker.pod), graceSecondsMax))),
    );
    await this.#deps.runtime.reap(() => false);
  }

  /** Lets go of all pods and leaves them running. */
  async release(): Promise<void> {
    this.#closed = true;
    await Promise.all(Array.from(this.#workers.values(), (worker) => worker.release()));
  }

  #start(pod: Pod): PodWorker | undefined {
    const uid = pod.metadata.uid ?? '';
    const { phase } = pod.status ?? {};
    const over = phase === 'Succeeded' || phase === 'Failed';
    if (over || (pod.metadata.deletionTimestamp && !this.#running.has(uid))) {
      if (pod.metadata.deletionTimestamp) this.#deps.onGone(pod);
      return undefined;
    }
    const podIP = this.#address(pod);
    if (podIP === undefined) return undefined;
    const worker = new PodWorker(
      {
        ...this.#deps,
        target: this.#deps.targetOf(podIP),
        event: (type, reason, message) => this.#deps.event(pod, type, reason, message),
        onStatus: (status) => this.#deps.onStatus(worker.pod, status),
      },
      { ...this.#options, pod, podIP, resumed: this.#running.has(uid) },
    );
    this.#workers.set(uid, worker);
    return worker;
  }

  #address(pod: Pod): string | undefined {
    const uid = pod.metadata.uid ?? '';
    const { folders } = this.#deps.runtime;
    try {
      mkdirSync(folders.pod(uid), { recursive: true });
      const podIP = pod.spec.hostNetwork ? this.#options.hostIP : this.#deps.addresses.of(uid);
      const { namespace = '', name } = pod.metadata;
      writePodRecord(folders, uid, { namespace, name, podIP: pod.spec.hostNetwork ? undefined : podIP });
      return podIP;
    } catch (error) {
      this.#deps.log.error('pod not started', { pod: pod.metadata.name, error });
      this.#deps.event(pod, 'Warning', 'FailedCreatePodSandBox', (error as Error).message);
      return undefined;
    }
  }

  async #terminate(worker: PodWorker): Promise<void> {
    await worker.terminate(graceSecondsOf(worker.pod));
    if (this.#closed) return;
    this.#deps.onStatus(worker.pod, worker.status);
    this.#deps.onGone(worker.pod);
  }

  #forget(uid: string): void {
    this.#deps.addresses.release(uid);
    rmSync(this.#deps.runtime.folders.pod(uid), { recursive: true, force: true });
  }
}

export function graceSecondsOf(pod: Pod): number {
  return pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30;
}
