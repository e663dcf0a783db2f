import type { NodeView } from '../../endpoints/node-view.ts';
import type { ServerKey } from '../../src/net/ipvs.ts';
import { Claims, type ClaimsDelta } from './claims.ts';
import { METRIC_PORTS_MAX } from '../limits.ts';
import { type CompiledPort, type CompileOptions, compilePort, type VirtualServer } from './compile.ts';

export interface RulesetDelta {
  /** Set entries, `KIND|ENTRY`. */
  readonly entries: ClaimsDelta<true>;
  readonly addresses: ClaimsDelta<true>;
  /** Virtual servers that are new, gone or differ; a value is what is wanted now. */
  readonly servers: ReadonlySet<ServerKey>;
}

/** The compiled rules of one family; what two ports share (an address, a hairpin pair) is counted. */
export class Ruleset {
  readonly #options: CompileOptions;
  readonly #ports = new Map<string, CompiledPort>();
  readonly entries = new Claims<true>();
  readonly addresses = new Claims<true>();
  readonly #servers = new Claims<VirtualServer>();

  constructor(options: CompileOptions) {
    this.#options = options;
  }

  get serverKeys(): Iterable<ServerKey> {
    return this.#servers.keys as Iterable<ServerKey>;
  }

  /** Service ports by their virtual servers, as many as metrics publish one by one. */
  serverOwners(): ReadonlyMap<ServerKey, string> {
    const owners = new Map<ServerKey, string>();
    let ports = 0;
    for (const [port, { servers }] of this.#ports) {
      if (++ports > METRIC_PORTS_MAX) break;
      for (const key of servers.keys()) owners.set(key, port);
    }
    return owners;
  }

  /** A service port that has this virtual server. Looks at all: for the words of a fault. */
  ownerOf(key: ServerKey): string | undefined {
    for (const [port, { servers }] of this.#ports) if (servers.has(key)) return port;
    return undefined;
  }

  server(key: ServerKey): VirtualServer | undefined {
    return this.#servers.get(key);
  }

  /** Compiles the named ports; a port that is not there any more is removed. */
  change(view: NodeView, keys: Iterable<string>): RulesetDelta {
    for (const key of keys) {
      const previous = this.#ports.get(key);
      const port = view.ports.get(key);
      const next = port && compilePort(port, this.#options);
      // the new one first: what stays is then never let go
      if (next) this.#claim(next);
      if (previous) this.#release(previous);
      if (next) this.#ports.set(key, next);
      else this.#ports.delete(key);
    }
    const { removed, added } = this.#servers.take();
    return {
      entries: this.entries.take(),
      addresses: this.addresses.take(),
      servers: new Set([...removed.keys(), ...added.keys()] as ServerKey[]),
    };
  }

  #claim({ entries, addresses, servers }: CompiledPort): void {
    for (const entry of entries) this.entries.claim(entry, true);
    for (const address of addresses) this.addresses.claim(address, true);
    for (const [key, server] of servers) this.#servers.claim(key, server);
  }

  #release({ entries, addresses, servers }: CompiledPort): void {
    for (const entry of entries) this.entries.release(entry, true);
    for (const address of addresses) this.addresses.release(address, true);
    for (const [key, server] of servers) this.#servers.release(key, server);
  }
}
