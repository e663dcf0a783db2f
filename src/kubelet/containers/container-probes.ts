import type { Clock } from '../../base/clock.ts';
import type { Container, LifecycleHandler, Probe } from '../../api/kinds/pod.ts';
import { check, type CheckResult, type CheckTarget } from '../probes/check.ts';
import { type ProbeKind, ProbeWorker } from '../probes/probe-worker.ts';
import type { Slots } from '../probes/slots.ts';
import type { ContainerProcess } from '../runtime/container-process.ts';

export interface ContainerProbesDeps {
  readonly clock: Clock;
  readonly slots: Slots;
  /** How actions reach the container: its address, and commands run beside it. */
  target(container: Container, process: ContainerProcess): CheckTarget;
  event(type: 'Normal' | 'Warning', reason: string, message: string): void;
}

interface ProbesOptions {
  readonly container: Container;
  readonly process: ContainerProcess;
  /** What an earlier kubelet knew of this very process; it holds until a probe says otherwise. */
  readonly before: { readonly ready: boolean; readonly started: boolean } | undefined;
  onChange(): void;
  /** The container must be restarted; why, and the grace period if the probe sets one. */
  onFatal(reason: string, graceSeconds: number | undefined): void;
}

const TITLES: Readonly<Record<ProbeKind, string>> = {
  readiness: 'Readiness',
  liveness: 'Liveness',
  startup: 'Startup',
};

/** The hooks and probes of one run of a container: postStart, startup, then readiness and liveness together. */
export class ContainerProbes implements Disposable {
  readonly #deps: ContainerProbesDeps;
  readonly #options: ProbesOptions;
  readonly #workers = new Map<ProbeKind, ProbeWorker>();
  #disposed = false;
  started: boolean;
  ready: boolean;

  constructor(deps: ContainerProbesDeps, options: ProbesOptions) {
    this.#deps = deps;
    this.#options = options;
    this.started = options.before?.started ?? false;
    this.ready = options.before?.ready ?? false;
  }

  async begin(): Promise<void> {
    const { container, before } = this.#options;
    if (this.started) return this.#afterStart();
    const hook = before ? undefined : container.lifecycle?.postStart;
    const failure = hook && (await this.#runHook(hook));
    if (this.#disposed) return;
    if (failure !== undefined) {
      this.#deps.event('Warning', 'FailedPostStartHook', `PostStartHook failed: ${failure}`);
      return this.#options.onFatal('failed its postStart hook', undefined);
    }
    if (container.startupProbe) this.#start('startup', container.startupProbe);
    else this.#becomeStarted();
  }

  /** Runs the hook within the time there is; its failure is told and does not stop the end. */
  async preStop(graceMs: number): Promise<void> {
    const hook = this.#options.container.lifecycle?.preStop;
    this.#workers.get('liveness')?.[Symbol.dispose]();
    this.#workers.get('startup')?.[Symbol.dispose]();
    if (!hook || graceMs <= 0) return;
    const failure = await this.#runHook(hook, graceMs);
    if (failure !== undefined)
      this.#deps.event('Warning', 'FailedPreStopHook', `PreStopHook failed: ${failure}`);
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    for (const worker of this.#workers.values()) worker[Symbol.dispose]();
  }

  #becomeStarted(): void {
    this.started = true;
    this.#workers.get('startup')?.[Symbol.dispose]();
    this.#afterStart();
    this.#options.onChange();
  }

  #afterStart(): void {
    const { readinessProbe, livenessProbe } = this.#options.container;
    if (readinessProbe) this.#start('readiness', readinessProbe);
    else this.ready = true;
    if (livenessProbe) this.#start('liveness', livenessProbe);
  }

  #start(kind: ProbeKind, probe: Probe): void {
    const { clock, slots } = this.#deps;
    const { container, process: live } = this.#options;
    const ageMs = clock.nowMs() - live.record.startedAtMs;
    const delayMs = Math.max(0, (probe.initialDelaySeconds ?? 0) * 1000 - ageMs);
    const deps = {
      clock,
      slots,
      check: (one: Probe, signal: AbortSignal) => check(one, this.#deps.target(container, live), signal),
      onState: (healthy: boolean) => this.#onState(kind, probe, healthy),
      onFailure: (message: string) =>
        this.#deps.event('Warning', 'Unhealthy', `${TITLES[kind]} probe failed: ${message}`),
    };
    this.#workers.set(kind, new ProbeWorker(deps, { kind, probe, delayMs }));
  }

  #onState(kind: ProbeKind, probe: Probe, healthy: boolean): void {
    if (kind === 'readiness') {
      this.ready = healthy;
      this.#options.onChange();
    } else if (healthy) {
      if (kind === 'startup') this.#becomeStarted();
    } else {
      this.#options.onFatal(`failed ${kind} probe`, probe.terminationGracePeriodSeconds);
    }
  }

  async #runHook(hook: LifecycleHandler, limitMs?: number): Promise<CheckResult> {
    const { clock } = this.#deps;
    const abort = new AbortController();
    const cut = (): void => abort.abort(new Error('hook cut short'));
    void this.#options.process.exited.then(cut);
    const timer = limitMs === undefined ? undefined : clock.setTimer(limitMs, cut);
    try {
      if (hook.sleep) return await this.#pause(hook.sleep.seconds * 1000, abort.signal);
      return await check(
        hook,
        this.#deps.target(this.#options.container, this.#options.process),
        abort.signal,
      );
    } finally {
      timer?.[Symbol.dispose]();
    }
  }

  #pause(delayMs: number, signal: AbortSignal): Promise<CheckResult> {
    return new Promise((resolve) => {
      const timer = this.#deps.clock.setTimer(delayMs, () => resolve(undefined));
      signal.addEventListener('abort', () => {
        timer[Symbol.dispose]();
        resolve(undefined);
      });
    });
  }
}
