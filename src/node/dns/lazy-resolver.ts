import { DnsServer, type DnsServerDeps } from '../../../dns/server/dns-server.ts';
import { type FoundName, lookUp } from './name-lookup.ts';

/** What the resolver's Corefile forwards to: the host's own name servers. */
const COREFILE = `. {
    bind 127.0.0.1
    kubernetes cluster.local
    forward . /etc/resolv.conf
    cache 30 {
        disable success cluster.local
        disable denial cluster.local
    }
}
`;

/** Our own DNS for ExternalName services of an ingress that runs alone: started when the first name is asked for. */
export class LazyResolver implements AsyncDisposable {
  readonly #deps: DnsServerDeps;
  #server: Promise<DnsServer> | undefined;

  constructor(deps: DnsServerDeps) {
    this.#deps = deps;
  }

  async resolve(name: string): Promise<FoundName> {
    this.#server ??= DnsServer.open(this.#deps, { corefile: { text: COREFILE }, dnsPort: 0 });
    try {
      return await lookUp(await this.#server, name);
    } catch (error) {
      // one that did not open is opened again at the next name
      await this.#server.catch(() => (this.#server = undefined));
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const server = await this.#server?.catch(() => undefined);
    await server?.[Symbol.asyncDispose]();
  }
}
