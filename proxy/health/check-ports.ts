import type { ServerResponse } from 'node:http';
import type { NodeView, NodeViewChanges, ServicePortView } from '../../endpoints/node-view.ts';
import { messageOf } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import type { Family } from '../../src/net/ip.ts';
import { openHttpListener, type HttpListener } from '../http-listener.ts';

interface Checked {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
  readyLocalCount: number;
  readonly keys: Set<string>;
  listeners: Promise<readonly HttpListener[]>;
}

/**
 * Answers load balancers on the healthCheckNodePort of each service with externalTrafficPolicy Local: has this
 * node ready endpoints? One listener a family with that family's count, as kube-proxy does. `addresses` says where to
 * listen; everywhere by default.
 */
export class HealthCheckPorts implements AsyncDisposable {
  readonly #deps: { readonly log: Logger; readonly isHealthy: () => boolean };
  readonly #family: Family;
  readonly #addresses: () => readonly string[];
  readonly #services = new Map<string, Checked>();
  readonly #serviceOfKey = new Map<string, string>();

  constructor(
    deps: { readonly log: Logger; readonly isHealthy: () => boolean },
    options: { readonly family: Family; readonly addresses?: () => readonly string[] },
  ) {
    this.#deps = deps;
    this.#family = options.family;
    const wildcard = options.family === 'IPv4' ? '0.0.0.0' : '::';
    this.#addresses = options.addresses ?? (() => [wildcard]);
  }

  /** Brings listeners and counts to the view; resolves when new ones listen or were refused. */
  async update(view: NodeView, changes: NodeViewChanges): Promise<void> {
    const keys = changes.complete
      ? changes.ports
      : new Set([...this.#serviceOfKey.keys(), ...view.ports.keys()]);
    const opened: Promise<unknown>[] = [];
    for (const key of keys) {
      const port = view.ports.get(key);
      await this.#release(key, port);
      if (port && port.healthCheckNodePort > 0) opened.push(this.#hold(port).listeners);
    }
    await Promise.all(opened);
  }

  /** Ports that listen now, for status and tests. */
  get ports(): readonly number[] {
    return [...this.#services.values()].map(({ port }) => port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [...this.#services.values()];
    this.#services.clear();
    this.#serviceOfKey.clear();
    await Promise.all(all.map(close));
  }

  #hold(port: ServicePortView): Checked {
    const serviceKey = `${port.namespace}/${port.name}`;
    let checked = this.#services.get(serviceKey);
    if (!checked) {
      const { namespace, name, healthCheckNodePort } = port;
      checked = {
        namespace,
        name,
        port: healthCheckNodePort,
        readyLocalCount: 0,
        keys: new Set(),
        listeners: Promise.resolve([]),
      };
      checked.listeners = this.#listen(checked);
      this.#services.set(serviceKey, checked);
    }
    checked.keys.add(port.key);
    checked.readyLocalCount = port.readyLocalCount;
    this.#serviceOfKey.set(port.key, serviceKey);
    return checked;
  }

  /** Lets go of a key that is gone or moved to another port; the last one closes the listener. */
  async #release(key: string, next: ServicePortView | undefined): Promise<void> {
    const serviceKey = this.#serviceOfKey.get(key);
    const checked = serviceKey === undefined ? undefined : this.#services.get(serviceKey);
    if (!checked || serviceKey === undefined || checked.port === next?.healthCheckNodePort) return;
    checked.keys.delete(key);
    this.#serviceOfKey.delete(key);
    if (checked.keys.size > 0 && !next?.healthCheckNodePort) return;
    this.#services.delete(serviceKey);
    await close(checked);
  }

  async #listen(checked: Checked): Promise<readonly HttpListener[]> {
    const opened = this.#addresses().map(async (address) => {
      try {
        const options = { address, port: checked.port, ipv6Only: this.#family === 'IPv6' };
        return [await openHttpListener((_request, response) => this.#reply(checked, response), options)];
      } catch (error) {
        const { namespace, name, port } = checked;
        const reason = messageOf(error);
        this.#deps.log.warn('health check port refused', { namespace, name, port, reason });
        return [];
      }
    });
    return (await Promise.all(opened)).flat();
  }

  #reply({ namespace, name, readyLocalCount }: Checked, response: ServerResponse): void {
    const serviceProxyHealthy = this.#deps.isHealthy();
    const status = readyLocalCount > 0 && serviceProxyHealthy ? 200 : 503;
    response
      .writeHead(status, {
        'Content-Type': 'application/json',
        'X-Content-Type-Options': 'nosniff',
        'X-Load-Balancing-Endpoint-Weight': String(readyLocalCount),
      })
      .end(
        JSON.stringify({
          service: { namespace, name },
          localEndpoints: readyLocalCount,
          serviceProxyHealthy,
        }),
      );
  }
}

async function close({ listeners }: Checked): Promise<void> {
  await Promise.all((await listeners).map((listener) => listener[Symbol.asyncDispose]()));
}
