import type { ProxyMode } from '../../proxy/backend.ts';
import type { KernelOptions } from '../../proxy/config/kernel-options.ts';
import { sleep, systemClock } from '../../src/base/clock.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import { type CaseWorld, packetOf, PROXY_CASES } from '../suites/backend.ts';
import { type Connection, sequenceCases, type SequencePlayer } from '../suites/backend-sequences.ts';
import { LiveProxy } from './live-proxy.ts';
import { PacketWorld } from './packet-world.ts';
import { attempt } from './probe.ts';

const PATIENCE_MS = 20_000;
const SILENCE_MS = 500;

/** The kernel's clock cannot be moved on: where time itself matters minutes become seconds, elsewhere nobody waits. */
const HASTE: Readonly<Record<string, number>> = { 'seq-sticky-expire': 100 };
const IPVS_SKIPS = {
  'seq-sticky-port-independent': 'round robin deals the clients of both ports alike',
  'seq-spread': 'the virtual machine is slow, and seq-spread-dup makes as many connections',
};

interface SequenceMode {
  readonly mode: ProxyMode;
  readonly kernel?: KernelOptions;
}

/** The sequences of a mode with real connections. */
export function packetSequences(options: SequenceMode): void {
  sequenceCases({
    mode: options.mode,
    player: (world) => PacketPlayer.open(world, options),
    skip: options.mode === 'ipvs' ? IPVS_SKIPS : {},
    haste: (sequence) => HASTE[sequence] ?? Infinity,
  });
}

class PacketPlayer implements SequencePlayer, AsyncDisposable {
  readonly #world: PacketWorld;
  readonly #case: CaseWorld;
  readonly #proxy: LiveProxy;
  #atSeconds = 0;

  private constructor(world: PacketWorld, caseWorld: CaseWorld, proxy: LiveProxy) {
    this.#world = world;
    this.#case = caseWorld;
    this.#proxy = proxy;
  }

  static async open(caseWorld: CaseWorld, options: SequenceMode): Promise<PacketPlayer> {
    const { group } = caseWorld;
    const steps = PROXY_CASES.sequences
      .filter((sequence) => sequence.group === group.id)
      .flatMap((sequence) => sequence.steps.flatMap((step) => (step.do === 'connect' ? [step] : [])));
    const sources = new Set(steps.map(({ from }) => from));
    const isRange = (from: string): boolean => from.includes('/');
    const world = await PacketWorld.open(group, {
      clients: [...sources].filter((from) => !isRange(from) && !group.node.ips.includes(from)),
      crowds: [...sources].filter(isRange),
      destinations: steps.map(({ to }) => to),
    });
    caseWorld.views();
    const proxy = await LiveProxy.open(world.node, caseWorld, { ...options, clock: systemClock });
    return new PacketPlayer(world, caseWorld, proxy);
  }

  /** Counted from the end of the step before: connections take their own time. */
  async advanceTo(seconds: number): Promise<void> {
    const waitMs = (seconds - this.#atSeconds) * 1000;
    this.#atSeconds = seconds;
    if (waitMs > 0) await sleep(systemClock, waitMs, new AbortController().signal);
  }

  async connect(from: string, to: string, sourcePort: number | undefined): Promise<Connection> {
    const { destinationAddress, destinationPort, protocol } = packetOf(from, to);
    const route = {
      source: from,
      destination: destinationAddress,
      port: destinationPort,
      protocol: protocol === 'udp' ? 'udp' : 'tcp',
      ...(sourcePort !== undefined && { sourcePort }),
    } as const;
    const silenceMs = this.#mayVanish ? SILENCE_MS : PATIENCE_MS;
    const outcome = await attempt(this.#world.namespaceOf(from), route, silenceMs);
    if (outcome.kind === 'refused') return { client: from, verdict: 'reject', backend: undefined };
    if (outcome.kind === 'silence') return { client: from, verdict: 'drop', backend: undefined };
    if (outcome.kind === 'error') throw new Error(`${from} to ${to}: ${outcome.code}`);
    const { at, peer } = outcome.arrival;
    if (at === joinHostPort(destinationAddress, destinationPort))
      return { client: from, verdict: 'pass', backend: undefined };
    return { client: from, verdict: 'dnat', backend: at, masquerade: this.#world.isGateway(peer) };
  }

  async applied(): Promise<void> {
    this.#case.tracker.flush();
    await this.#proxy.sync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#proxy.cleanup();
    await this.#proxy[Symbol.asyncDispose]();
    await this.#world[Symbol.asyncDispose]();
  }

  get #mayVanish(): boolean {
    return PROXY_CASES.sequences.some(
      ({ group, expect }) =>
        group === this.#case.group.id && expect.some(({ rule, is }) => rule === 'verdict' && is === 'drop'),
    );
  }
}
