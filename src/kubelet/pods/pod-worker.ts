import { join } from 'node:path';
import { sleep } from '../../base/clock.ts';
import type { Container, Pod, PodStatus } from '../../api/kinds/pod.ts';
import type { ContainerWorkerDeps } from '../containers/container-worker.ts';
import { ContainerWorker } from '../containers/container-worker.ts';
import type { PodFacts } from '../environment/field-ref.ts';
import type { LaunchPlanner, PlannedPod } from '../containers/launch-planner.ts';
import { PodPreparation } from './pod-preparation.ts';
import { PodReport } from './pod-report.ts';
import type { PodSources } from '../sources/pod-sources.ts';
import { isSidecar, podPhase, podStatus, type PodView } from './pod-status.ts';
import type { CheckTarget } from '../probes/check.ts';
import type { ContainerRole } from '../containers/restart-policy.ts';
import { rewritePaths } from '../volumes/mounts.ts';
import { PodVolumes, volumeReferences } from '../volumes/pod-volumes.ts';

export interface PodWorkerDeps extends Pick<
  ContainerWorkerDeps,
  'clock' | 'log' | 'runtime' | 'slots' | 'target' | 'event'
> {
  readonly sources: PodSources;
  readonly planner: LaunchPlanner;
  readonly random: () => number;
  /** A status that differs from the last one; at most one in STATUS_COALESCE_MS. */
  onStatus(status: PodStatus): void;
}

export interface PodWorkerOptions {
  readonly pod: Pod;
  readonly podIP: string;
  readonly hostIP: string;
  readonly nodeName: string;
  readonly allocatable: Readonly<Record<string, string>>;
  /** Containers of this pod were found running: init containers that are done stay done. */
  readonly resumed: boolean;
}

/** Why a pod ends although nobody deleted it. */
export interface Verdict {
  readonly reason: string;
  readonly message: string;
}

/**
 * One pod on this node: volumes, init containers in order, then all containers, until it ended by itself or
 * was told to. Knows nothing of the API: it is fed Pod objects and reports a status.
 */
export class PodWorker {
  /** Resolves when no container runs and none will. */
  readonly ended: Promise<void>;
  readonly #deps: PodWorkerDeps;
  readonly #options: PodWorkerOptions;
  readonly #workers = new Map<string, ContainerWorker>();
  readonly #preparation: PodPreparation;
  readonly #report: PodReport;
  readonly #stop = new AbortController();
  readonly #startTimeMs: number;
  #pod: Pod;
  #initialized = false;
  #isEnded = false;
  #verdict: Verdict | undefined;
  readonly #watch: Disposable;
  #released = false;

  constructor(deps: PodWorkerDeps, options: PodWorkerOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#pod = options.pod;
    const known = options.pod.status?.startTime;
    this.#startTimeMs = known ? Date.parse(known) : deps.clock.nowMs();
    const user = options.pod.spec.securityContext;
    const gid = user?.fsGroup ?? user?.runAsGroup ?? user?.runAsUser;
    const volumes = new PodVolumes(deps, {
      folder: join(deps.runtime.folders.pod(this.uid), 'volumes'),
      ...(user?.runAsUser && gid !== undefined && { owner: { uid: user.runAsUser, gid } }),
    });
    const facts = (): PodFacts => this.#facts();
    this.#preparation = new PodPreparation({ ...deps, volumes, facts }, this.#stop.signal);
    this.#report = new PodReport({
      clock: deps.clock,
      view: () => this.#view(),
      onStatus: (status) => deps.onStatus(status),
    });
    this.#watch = deps.sources.onChange(this.uid, volumeReferences(options.pod), () =>
      this.#preparation.refresh(),
    );
    this.ended = this.#run();
  }

  get uid(): string {
    return this.#pod.metadata.uid ?? '';
  }

  get pod(): Pod {
    return this.#pod;
  }

  get podIP(): string {
    return this.#options.podIP;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** The status now, whether or not it was reported. */
  get status(): PodStatus {
    return podStatus(this.#view(), this.#pod.status);
  }

  /** Containers that have begun. */
  get containers(): Iterable<ContainerWorker> {
    return this.#workers.values();
  }

  container(name: string): ContainerWorker | undefined {
    return this.#workers.get(name);
  }

  /** Another version of the same pod: images, labels, annotations, conditions of others. */
  update(pod: Pod): void {
    this.#pod = pod;
    for (const container of allContainers(pod)) this.#workers.get(container.name)?.update(container);
    this.#startEphemeral();
    this.#preparation.refresh();
    this.#report.changed();
  }

  /** Stops all containers: the pod's own first, then its sidecars in reverse order. Idempotent; see `ended`. */
  async terminate(graceSeconds: number, verdict?: Verdict): Promise<void> {
    this.#verdict ??= verdict;
    this.#stop.abort(new Error('pod terminated'));
    const graceMs = graceSeconds * 1000;
    const deadlineMs = this.#deps.clock.monotonicMs() + graceMs;
    const containers = Array.from(this.#workers.values());
    const sidecars = containers.filter((worker) => isSidecar(this.#pod, worker.name)).reverse();
    await Promise.all(
      containers.filter((worker) => !sidecars.includes(worker)).map((one) => one.stop(graceMs)),
    );
    for (const worker of sidecars)
      await worker.stop(Math.max(0, deadlineMs - this.#deps.clock.monotonicMs()));
    await this.ended;
  }

  /** Leaves the processes running for the next kubelet. */
  async release(): Promise<void> {
    this.#released = true;
    this.#report.end();
    this.#stop.abort(new Error('kubelet stopped'));
    this.#watch[Symbol.dispose]();
    await Promise.all(Array.from(this.#workers.values(), (worker) => worker.release()));
  }

  async #run(): Promise<void> {
    this.#setDeadline();
    this.#report.changed();
    try {
      if (await this.#preparation.run()) {
        this.#report.changed();
        await this.#runContainers();
      }
    } catch (error) {
      if (!this.#stop.signal.aborted)
        this.#deps.log.error('pod worker failed', { pod: this.#pod.metadata.name, error });
    }
    if (this.#released) return;
    this.#isEnded = true;
    this.#stop.abort(new Error('pod ended'));
    this.#watch[Symbol.dispose]();
    this.#report.changed();
  }

  async #runContainers(): Promise<void> {
    const { initContainers = [], containers } = this.#pod.spec;
    for (const container of initContainers) {
      if (this.#stop.signal.aborted) break;
      if (!(await this.#initContainer(container))) break;
    }
    this.#initialized = !this.#stop.signal.aborted && initContainers.every((one) => this.#isInitDone(one));
    if (this.#initialized) {
      const workers = containers.map((container) => this.#startContainer(container, 'app', true));
      this.#startEphemeral();
      this.#report.changed();
      await Promise.all(workers.map((worker) => worker.done));
    }
    await this.#endSidecars();
  }

  /** False when it failed for good: then the pod fails. */
  async #initContainer(container: Container): Promise<boolean> {
    const role: ContainerRole = container.restartPolicy === 'Always' ? 'sidecar' : 'init';
    const worker = this.#startContainer(container, role, role === 'sidecar' || this.#options.resumed);
    if (role === 'init') return await worker.done;
    await worker.hasStarted;
    return worker.status.started ?? false;
  }

  #isInitDone(container: Container): boolean {
    const status = this.#workers.get(container.name)?.status;
    if (!status) return false;
    return container.restartPolicy === 'Always'
      ? status.started === true
      : status.state?.terminated?.exitCode === 0;
  }

  /** Debug containers (KEP-277) begin when they are added, once; the pod does not wait for their end. */
  #startEphemeral(): void {
    if (!this.#initialized || this.#stop.signal.aborted) return;
    for (const one of this.#pod.spec.ephemeralContainers ?? [])
      if (!this.#workers.has(one.name)) this.#startContainer(one, 'ephemeral', true);
  }

  /** The pod's own containers ended for good: its sidecars have nobody left to serve. */
  async #endSidecars(): Promise<void> {
    const graceMs = this.#graceSeconds * 1000;
    const own = new Set(this.#pod.spec.containers.map(({ name }) => name));
    const others = Array.from(this.#workers.values()).filter(({ name }) => !own.has(name));
    for (const worker of others.reverse()) await worker.stop(graceMs);
    await Promise.all(Array.from(this.#workers.values(), (worker) => worker.done));
  }

  #startContainer(container: Container, role: ContainerRole, resume: boolean): ContainerWorker {
    const { metadata, spec } = this.#pod;
    const deps: ContainerWorkerDeps = {
      ...this.#deps,
      target: (one, process) => this.#mapped(this.#deps.target(one, process)),
      plan: (one, attempt) => this.#deps.planner.plan(one, attempt, this.#plannedPod()),
      terminationLog: (one, attempt) => this.#deps.planner.terminationLog(one, attempt, this.#plannedPod()),
      onChange: () => this.#report.changed(),
    };
    const worker = new ContainerWorker(deps, {
      podUid: this.uid,
      podText: `${metadata.name}_${metadata.namespace ?? ''}(${this.uid})`,
      container,
      role,
      restartPolicy: spec.restartPolicy ?? 'Always',
      graceMs: this.#graceSeconds * 1000,
      resume,
    });
    this.#workers.set(container.name, worker);
    return worker;
  }

  #plannedPod(): PlannedPod {
    const { planned } = this.#preparation;
    if (!planned) throw new Error('containers start after the volumes are made');
    return planned;
  }

  /** Where the paths of a container lie now; for exec and exec probes. */
  mounts(container: Container): ReturnType<LaunchPlanner['mounts']> {
    const attempt = this.#workers.get(container.name)?.status.restartCount ?? 0;
    const { planned } = this.#preparation;
    return planned ? this.#deps.planner.mounts(container, attempt, planned) : [];
  }

  /** Commands of probes and hooks name the container's paths, as its own command does. */
  #mapped(target: CheckTarget): CheckTarget {
    const mounts = this.mounts(target.container);
    return {
      ...target,
      run: (command, signal) =>
        target.run(
          command.map((word) => rewritePaths(word, mounts)),
          signal,
        ),
    };
  }

  /** Volumes that change by themselves (tokens) are looked at again. */
  refresh(): void {
    this.#preparation.refresh();
  }

  get #graceSeconds(): number {
    return (
      this.#pod.metadata.deletionGracePeriodSeconds ?? this.#pod.spec.terminationGracePeriodSeconds ?? 30
    );
  }

  #facts(): PodFacts {
    const { podIP, hostIP, nodeName, allocatable } = this.#options;
    return { pod: this.#pod, podIPs: [podIP], hostIPs: [hostIP], nodeName, allocatable };
  }

  #setDeadline(): void {
    const seconds = this.#pod.spec.activeDeadlineSeconds;
    if (seconds === undefined) return;
    const leftMs = Math.max(0, this.#startTimeMs + seconds * 1000 - this.#deps.clock.nowMs());
    const verdict = {
      reason: 'DeadlineExceeded',
      message: 'Pod was active on the node longer than the specified deadline',
    };
    void sleep(this.#deps.clock, leftMs, this.#stop.signal).then(
      () => this.terminate(this.#graceSeconds, verdict),
      () => {}, // the pod ended before
    );
  }

  #view(): PodView {
    const { podIP, hostIP } = this.#options;
    const statusOf = (
      { name, image }: Container,
      waiting: string,
    ): NonNullable<PodStatus['containerStatuses']>[number] =>
      this.#workers.get(name)?.status ?? {
        name,
        image: image ?? '',
        imageID: '',
        ready: false,
        started: false,
        restartCount: 0,
        state: { waiting: { reason: waiting } },
        lastState: {},
      };
    const { initContainers = [], containers, ephemeralContainers = [] } = this.#pod.spec;
    const waiting = initContainers.length > 0 ? 'PodInitializing' : 'ContainerCreating';
    return {
      pod: this.#pod,
      containers: containers.map((one) => statusOf(one, waiting)),
      initContainers: initContainers.map((one) => statusOf(one, 'PodInitializing')),
      ephemeralContainers: ephemeralContainers.map((one) => statusOf(one, 'ContainerCreating')),
      initialized: this.#initialized || initContainers.length === 0,
      prepared: this.#preparation.isDone,
      ended: this.#isEnded,
      verdict: this.#verdict,
      podIP: this.#preparation.isDone ? podIP : undefined,
      hostIP,
      startTimeMs: this.#startTimeMs,
      nowMs: this.#deps.clock.nowMs(),
    };
  }

  /** The phase now; terminal ones never change again. */
  get phase(): ReturnType<typeof podPhase> {
    return podPhase(this.#view());
  }
}

function allContainers(pod: Pod): readonly Container[] {
  return [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
}
