import { execFileSync } from 'node:child_process';
import { OwnNetwork } from './own-network.ts';

/** Hosts on one link: network namespaces joined by a bridge in a namespace of its own. */
export class Lan implements Disposable {
  readonly #switch: OwnNetwork;
  readonly #hosts: OwnNetwork[] = [];
  readonly #purpose: string;

  constructor(purpose: string) {
    this.#purpose = purpose;
    this.#switch = new OwnNetwork(`${purpose}-lan`);
    this.#ip(this.#switch, 'link', 'add', 'br0', 'type', 'bridge');
    this.#ip(this.#switch, 'link', 'set', 'br0', 'up');
  }

  /** A host with an interface eth0 that has these addresses (with prefix length). */
  host(name: string, ...addresses: readonly string[]): OwnNetwork {
    const host = new OwnNetwork(`${this.#purpose}-${name}`);
    const port = `port${this.#hosts.length}`;
    this.#hosts.push(host);
    const peer = ['type', 'veth', 'peer', 'name', 'eth0', 'netns', host.name];
    this.#ip(this.#switch, 'link', 'add', port, ...peer);
    this.#ip(this.#switch, 'link', 'set', port, 'master', 'br0', 'up');
    for (const address of addresses) {
      const flags = address.includes(':') ? ['nodad'] : [];
      this.#ip(host, 'addr', 'add', address, 'dev', 'eth0', ...flags);
    }
    this.#ip(host, 'link', 'set', 'eth0', 'up');
    // service addresses are only rewritten on their way out, so there must be a way out
    this.#ip(host, 'route', 'add', 'default', 'dev', 'eth0');
    return host;
  }

  [Symbol.dispose](): void {
    for (const host of this.#hosts) host[Symbol.dispose]();
    this.#switch[Symbol.dispose]();
  }

  #ip({ name }: OwnNetwork, ...args: readonly string[]): void {
    execFileSync('ip', ['-n', name, ...args]);
  }
}
