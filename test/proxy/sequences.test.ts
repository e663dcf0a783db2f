import type { NodeView, ServicePortView } from '../../endpoints/node-view.ts';
import { entrancesOf } from '../../proxy/packet/entrances.ts';
import { MODE_TRAITS } from '../../proxy/mode-traits.ts';
import { nodePortAddresses } from '../../proxy/packet/node-ports.ts';
import { sourceClassifier } from '../../proxy/packet/source.ts';
import { endpointId } from '../../proxy/userspace/balancer.ts';
import { Ejections } from '../../proxy/userspace/ejection.ts';
import { PortState } from '../../proxy/userspace/port-state.ts';
import { SessionTable } from '../../proxy/userspace/session-table.ts';
import type { RelayContext } from '../../proxy/userspace/relay-context.ts';
import { AFFINITY_CLIENTS_MAX } from '../../proxy/limits.ts';
import { silentLogger } from '../../src/base/log.ts';
import { packetOf, type CaseWorld } from '../suites/backend.ts';
import { sequenceCases, type Connection, type SequencePlayer } from '../suites/backend-sequences.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** The decisions of the userspace proxy, without its sockets, on a clock the sequence turns. */
class UserspacePlayer implements SequencePlayer, AsyncDisposable {
  readonly #clock = new FakeClock();
  readonly #world: CaseWorld;
  readonly #states = new Map<string, PortState>();
  #view: NodeView;

  constructor(world: CaseWorld) {
    this.#world = world;
    this.#view = world.views()[0]!;
  }

  async advanceTo(seconds: number): Promise<void> {
    await this.#clock.advance(seconds * 1000 - this.#clock.monotonicMs());
  }

  connect(from: string, to: string): Promise<Connection> {
    const { destinationAddress, destinationPort, protocol } = packetOf(from, to);
    const addresses = nodePortAddresses(this.#view.node, MODE_TRAITS.userspace);
    for (const port of this.#view.ports.values()) {
      const entrance = entrancesOf(port, addresses).find(
        (each) => each.address === destinationAddress && each.port === destinationPort,
      );
      if (!entrance || port.protocol.toLowerCase() !== protocol) continue;
      const state = this.#state(port);
      const decision = state.decide(entrance.kind, from);
      if (decision.verdict !== 'dnat')
        return Promise.resolve({ client: from, verdict: decision.verdict, backend: undefined });
      const picked = state.balancer.pick(decision.endpoints, from, port.affinitySeconds, undefined);
      return Promise.resolve({ client: from, verdict: 'dnat', backend: picked && endpointId(picked) });
    }
    return Promise.resolve({ client: from, verdict: 'pass', backend: undefined });
  }

  applied(): Promise<void> {
    this.#view = this.#world.views()[0]!;
    for (const [key, state] of this.#states) {
      const view = this.#view.ports.get(key);
      if (view) state.view = view;
      else this.#states.delete(key);
    }
    return Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #state(port: ServicePortView): PortState {
    let state = this.#states.get(port.key);
    if (!state) this.#states.set(port.key, (state = new PortState(this.#context(), port)));
    return state;
  }

  #context(): RelayContext {
    const { node } = this.#view;
    return {
      clock: this.#clock,
      log: silentLogger,
      ejections: new Ejections({ clock: this.#clock }),
      tcp: new SessionTable(1),
      udp: new SessionTable(1),
      limits: {
        tcpSessionsMax: 1,
        udpSessionsMax: 1,
        tcpIdleSeconds: 1,
        tcpHalfClosedIdleSeconds: 1,
        udpIdleSeconds: 1,
        affinityClientsMax: AFFINITY_CLIENTS_MAX,
        dialDeadlinesMs: [1],
      },
      proxyProtocol: undefined,
      node,
      classifier: sourceClassifier(node),
      decision: { traits: MODE_TRAITS.userspace, masqueradeAll: false, detectsPods: true },
    };
  }
}

sequenceCases({ mode: 'userspace', player: (world) => Promise.resolve(new UserspacePlayer(world)) });
