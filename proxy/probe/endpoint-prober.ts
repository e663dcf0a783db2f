import { connect as netConnect } from 'node:net';
import type { ServiceEntry } from '../../endpoints/service-port.ts';
import type { SnapshotSource } from '../../endpoints/snapshot.ts';
import type { Clock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/log.ts';
import { Gauge, type Registry } from '../../src/base/metrics.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import {
  PROBE_FAILURES_MAX,
  PROBE_INTERVAL_MS,
  PROBE_TARGETS_MAX,
  PROBE_TIMEOUT_MS,
  PROBES_IN_FLIGHT_MAX,
} from '../limits.ts';

/** Tries to connect; true when somebody accepted. Never rejects. */
export type Probe = (address: string, port: number, timeoutMs: number) => Promise<boolean>;

export interface EndpointProberDeps {
  readonly snapshots: SnapshotSource;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics?: Registry;
  /** Told of the services (`namespace/name`) whose endpoints went out or came back. */
  readonly onChange: (services: ReadonlySet<string>) => void;
  readonly probe?: Probe;
}

export interface EndpointProberOptions {
  /** From the end of one round to the start of the next. */
  readonly intervalMs?: number;
}

interface Target {
  readonly address: string;
  readonly port: number;
  readonly services: Set<string>;
  failures: number;
}

/**
 * Connects to every ready TCP endpoint, round after round: one that fails twice in a row is left out until it answers
 * again. For modes whose kernel cannot notice by itself that an endpoint is dead before the cluster does.
 */
export class EndpointProber implements AsyncDisposable {
  readonly #deps: EndpointProberDeps;
  readonly #intervalMs: number;
  readonly #targets = new Map<string, Target>();
  readonly #ofService = new Map<string, ReadonlySet<string>>();
  readonly #subscription: Disposable;
  #timer: Disposable | undefined;
  #round: Promise<void> = Promise.resolve();
  #seen = 0;
  #disposed = false;
  #toldLimit = false;

  constructor(deps: EndpointProberDeps, options: EndpointProberOptions = {}) {
    this.#deps = { ...deps, log: deps.log.with({ part: 'probe' }) };
    this.#intervalMs = options.intervalMs ?? PROBE_INTERVAL_MS;
    if (deps.metrics) this.#publish(deps.metrics);
    this.#subscription = deps.snapshots.subscribe(() => this.#follow());
    this.#follow();
    this.#schedule();
  }

  /** It failed twice in a row and has not answered since. */
  isOut(address: string, port: number): boolean {
    const target = this.#targets.get(joinHostPort(address, port));
    return target !== undefined && target.failures >= PROBE_FAILURES_MAX;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#subscription[Symbol.dispose]();
    this.#timer?.[Symbol.dispose]();
    await this.#round;
  }

  #follow(): void {
    const { snapshots } = this.#deps;
    const { snapshot } = snapshots;
    const changes = snapshots.changesSince(this.#seen);
    this.#seen = snapshot.version;
    const keys = changes.complete
      ? changes.services
      : new Set([...this.#ofService.keys(), ...snapshot.services.keys()]);
    for (const key of keys) this.#setTargets(key, snapshot.services.get(key));
  }

  #setTargets(key: string, entry: ServiceEntry | undefined): void {
    const next = new Map((entry ? tcpTargets(entry) : []).map((each) => [joinHostPort(...each), each]));
    for (const id of this.#ofService.get(key) ?? []) {
      const target = this.#targets.get(id);
      if (next.has(id) || !target) continue;
      target.services.delete(key);
      if (target.services.size === 0) this.#targets.delete(id);
    }
    const kept = new Set<string>();
    for (const [id, [address, port]] of next) {
      let target = this.#targets.get(id);
      if (!target && this.#targets.size >= PROBE_TARGETS_MAX) {
        this.#tellLimit();
        continue;
      }
      if (!target) this.#targets.set(id, (target = { address, port, services: new Set(), failures: 0 }));
      target.services.add(key);
      kept.add(id);
    }
    if (kept.size > 0) this.#ofService.set(key, kept);
    else this.#ofService.delete(key);
  }

  #schedule(): void {
    this.#timer = this.#deps.clock.setTimer(this.#intervalMs, () => {
      this.#round = this.#probeAll().finally(() => {
        if (!this.#disposed) this.#schedule();
      });
    });
  }

  async #probeAll(): Promise<void> {
    const waiting = this.#targets.values();
    const worker = async (): Promise<void> => {
      for (const target of waiting) {
        if (this.#disposed) return;
        await this.#probe(target);
      }
    };
    await Promise.all(Array.from({ length: PROBES_IN_FLIGHT_MAX }, worker));
  }

  async #probe(target: Target): Promise<void> {
    const { probe = connects, onChange, log } = this.#deps;
    const wasOut = target.failures >= PROBE_FAILURES_MAX;
    const answers = await probe(target.address, target.port, PROBE_TIMEOUT_MS);
    target.failures = answers ? 0 : target.failures + 1;
    const isOut = target.failures >= PROBE_FAILURES_MAX;
    if (isOut === wasOut || this.#disposed) return;
    const endpoint = joinHostPort(target.address, target.port);
    if (isOut) log.warn('endpoint does not answer, left out', { endpoint });
    else log.info('endpoint answers again', { endpoint });
    onChange(target.services);
  }

  #tellLimit(): void {
    if (!this.#toldLimit)
      this.#deps.log.warn('too many endpoints, not all are probed', { limit: PROBE_TARGETS_MAX });
    this.#toldLimit = true;
  }

  #publish(registry: Registry): void {
    const gauge: Gauge = new Gauge({
      name: 'weft_proxy_endpoints_out',
      help: 'Endpoints left out because they do not answer probes',
      registers: [registry],
      collect: () =>
        gauge.set(
          [...this.#targets.values()].filter(({ failures }) => failures >= PROBE_FAILURES_MAX).length,
        ),
    });
  }
}

/** Ready endpoints by address and port; UDP and SCTP have nothing that would answer. */
function tcpTargets(entry: ServiceEntry): readonly (readonly [address: string, port: number])[] {
  if (entry.clusterIPs.length === 0 || entry.foreignProxy) return [];
  const names = entry.ports.filter(({ protocol }) => protocol === 'TCP').map(({ name }) => `${name}/TCP`);
  return entry.endpoints.flatMap((endpoint) =>
    endpoint.ready
      ? names.flatMap((name) => {
          const port = endpoint.ports.get(name);
          return port === undefined ? [] : [[endpoint.address, port] as const];
        })
      : [],
  );
}

const connects: Probe = (address, port, timeoutMs) =>
  new Promise((resolve) => {
    const socket = netConnect({ host: address, port, timeout: timeoutMs });
    const end = (answers: boolean): void => {
      socket.destroy();
      resolve(answers);
    };
    socket.once('connect', () => end(true));
    socket.once('timeout', () => end(false));
    socket.once('error', () => end(false));
  });
