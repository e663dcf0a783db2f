import type { ServicePortView } from '../../endpoints/node-view.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import { entrancesOf, type Entrance } from '../packet/entrances.ts';
import { bindReason, type Door } from './door.ts';
import type { DoorPlan } from './door-plan.ts';
import { PortState } from './port-state.ts';
import type { RelayContext } from './relay-context.ts';

/** `proto ip:port` of each open door, and which service port holds it. Shared by all port servers. */
export type DoorRegister = Map<string, string>;

export interface PortServerDeps {
  readonly context: RelayContext;
  readonly register: DoorRegister;
  /** Replaced when the node's settings change. */
  readonly plan: () => DoorPlan;
}

interface OpenDoor {
  readonly entrance: Entrance;
  readonly door: Door;
}

/** The doors of one service port. `update` brings them to a view; what could not be opened is said, not thrown. */
export class PortServer implements Disposable {
  readonly state: PortState;
  readonly #deps: PortServerDeps;
  readonly #doors = new Map<string, OpenDoor>();
  #refused: readonly string[] = [];

  constructor(deps: PortServerDeps, view: ServicePortView) {
    this.#deps = deps;
    this.state = new PortState(deps.context, view);
  }

  /** Why some of its doors are closed; empty when all is well. */
  get refused(): readonly string[] {
    return this.#refused;
  }

  /** Takes the view and closes the doors it no longer has, so that others may have their addresses. */
  prepare(view: ServicePortView): void {
    this.state.view = view;
    const wanted = this.#wanted();
    for (const [id, { entrance }] of this.#doors) {
      const same = wanted.get(id);
      if (same?.kind !== entrance.kind) this.#close(id);
    }
    for (const { door } of this.#doors.values()) door.refresh();
  }

  /** Opens the doors that are missing. */
  async open(): Promise<void> {
    const refused: string[] = [];
    if (this.state.view.protocol === 'SCTP') {
      this.#refused = ['SCTP cannot be proxied in userspace; use the mode nftables, iptables or ipvs'];
      return;
    }
    for (const [id, entrance] of this.#wanted()) {
      const reason = this.#doors.has(id) ? undefined : await this.#openDoor(id, entrance);
      if (reason !== undefined) refused.push(reason);
    }
    this.#refused = refused;
  }

  [Symbol.dispose](): void {
    for (const id of this.#doors.keys()) this.#close(id);
  }

  #wanted(): ReadonlyMap<string, Entrance> {
    const { view } = this.state;
    const wanted = new Map<string, Entrance>();
    if (view.protocol === 'SCTP') return wanted;
    const plan = this.#deps.plan();
    for (const entrance of entrancesOf(view, plan.nodePortAddresses)) {
      if (plan.wants(view, entrance))
        wanted.set(`${view.protocol} ${joinHostPort(entrance.address, entrance.port)}`, entrance);
    }
    return wanted;
  }

  async #openDoor(id: string, entrance: Entrance): Promise<string | undefined> {
    const { context, register, plan } = this.#deps;
    const { key, protocol } = this.state.view;
    const holder = register.get(id);
    if (holder !== undefined) return `${id} already belongs to ${holder}`;
    register.set(id, key);
    const options = { entrance: entrance.kind, address: entrance.address, port: entrance.port };
    try {
      const open = protocol === 'TCP' ? plan().openTcp : plan().openUdp;
      const door = await open({ context, state: this.state }, options);
      this.#doors.set(id, { entrance, door });
      return undefined;
    } catch (error) {
      register.delete(id);
      return bindReason(error as NodeJS.ErrnoException, options);
    }
  }

  #close(id: string): void {
    this.#doors.get(id)?.door[Symbol.dispose]();
    this.#doors.delete(id);
    this.#deps.register.delete(id);
  }
}
