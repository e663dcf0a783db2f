import type { ConfigMap } from '../../src/api/kinds/config.ts';
import { messageOf } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import { Counter, type Registry } from '../../src/base/metrics.ts';
import { readStreamRules, type StreamRule } from './stream-rules.ts';
import { type StreamDeps, TcpPort } from './tcp-port.ts';
import { UdpPort } from './udp-port.ts';

export interface ExposureDeps extends Omit<StreamDeps, 'dropped'> {
  readonly log: Logger;
  readonly metrics: Registry;
}

type Port = AsyncDisposable & { rule: StreamRule };

/**
 * TCP and UDP ports of ingress-nginx's tcp-services and udp-services ConfigMaps. A port whose rule changed keeps
 * listening: new connections follow the new rule, open ones stay where they are.
 */
export class StreamExposure implements AsyncDisposable {
  readonly #deps: ExposureDeps;
  readonly #host: string;
  readonly #reserved: ReadonlySet<number>;
  readonly #ports = new Map<string, Port>();
  readonly #read = new Map<'tcp' | 'udp', ConfigMap | undefined>();
  readonly #dropped: Counter<'protocol' | 'port'>;

  /** `reserved` are ports the ingress itself listens on. */
  constructor(deps: ExposureDeps, options: { host: string; reserved: ReadonlySet<number> }) {
    this.#deps = deps;
    this.#host = options.host;
    this.#reserved = options.reserved;
    this.#dropped = new Counter({
      name: 'weft_ingress_streams_dropped_total',
      help: 'Connections and datagrams of exposed ports that went nowhere',
      labelNames: ['protocol', 'port'],
      registers: [deps.metrics],
    });
  }

  /** Brings the ports of one protocol in line with its ConfigMap; a fault of one port leaves the others. */
  async apply(protocol: 'tcp' | 'udp', configMap: ConfigMap | undefined): Promise<void> {
    if (this.#read.has(protocol) && this.#read.get(protocol) === configMap) return;
    this.#read.set(protocol, configMap);
    const { rules, problems } = readStreamRules(configMap?.data ?? {}, this.#reserved, protocol);
    for (const problem of problems) this.#deps.log.warn('exposed port refused', { protocol, problem });
    const wanted = new Map(rules.map((rule) => [`${protocol} ${rule.port}`, rule]));
    for (const [key, port] of this.#ports) {
      if (!key.startsWith(protocol) || wanted.has(key)) continue;
      this.#ports.delete(key);
      await port[Symbol.asyncDispose]();
    }
    for (const [key, rule] of wanted) {
      const open = this.#ports.get(key);
      if (open) open.rule = rule;
      else await this.#open(protocol, key, rule);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ports = [...this.#ports.values()];
    this.#ports.clear();
    await Promise.all(ports.map((port) => port[Symbol.asyncDispose]()));
  }

  async #open(protocol: 'tcp' | 'udp', key: string, rule: StreamRule): Promise<void> {
    const { log } = this.#deps;
    const deps: StreamDeps = {
      ...this.#deps,
      dropped: (reason) => {
        this.#dropped.inc({ protocol, port: rule.port });
        log.debug('stream went nowhere', { protocol, port: rule.port, reason });
      },
    };
    try {
      const kind = protocol === 'tcp' ? TcpPort : UdpPort;
      this.#ports.set(key, await kind.open(deps, this.#host, rule));
      log.info('port exposed', { protocol, port: rule.port, backend: rule.target.key });
    } catch (error) {
      // looked at again when the ConfigMap changes
      log.error('port not exposed', { protocol, port: rule.port, reason: messageOf(error) });
    }
  }
}
