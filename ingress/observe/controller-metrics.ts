import { createHash } from 'node:crypto';
import { Counter, Gauge, type Registry } from '../../src/base/metrics.ts';
import type { Certificate } from '../certificates/certificate-store.ts';

/** What the controller can be asked when somebody reads the metrics. */
export interface ControllerState {
  connections(): { readonly active: number; readonly accepted: number };
  requests(): { readonly active: number };
  hosts(): number;
  ingresses(): number;
  /** Certificates of Secrets with the hosts they are served for. */
  certificates(): Iterable<{ readonly host: string; readonly certificate: Certificate }>;
  /** Backends without a service or without endpoints. */
  orphans(): Iterable<{
    readonly namespace: string;
    readonly ingress: string;
    readonly type: 'no-service' | 'no-endpoint';
  }>;
}

const NGINX = 'nginx_ingress_controller_';

/** Metrics of the controller itself under ingress-nginx's names; read from its state, nothing is kept twice. */
export class ControllerMetrics {
  readonly #swaps: Counter;
  readonly #ejections: Counter<'backend'>;
  readonly #refused: Counter<'reason'>;
  readonly #handedOver: Counter<'why'>;
  #appliedMs = 0;

  constructor(registry: Registry, controllerClass: string, state: ControllerState) {
    const registers = [registry];
    const gauge = (name: string, help: string, read: () => number): Gauge =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    this.#swaps = new Counter({ name: `${NGINX}success`, help: 'Configurations put in force', registers });
    this.#ejections = new Counter({
      name: 'weft_ingress_endpoint_ejections_total',
      help: 'Endpoints left alone after failures in a row',
      labelNames: ['backend'],
      registers,
    });
    this.#refused = new Counter({
      name: 'weft_ingress_connections_refused_total',
      help: 'Connections closed before their first request',
      labelNames: ['reason'],
      registers,
    });
    this.#handedOver = new Counter({
      name: 'weft_ingress_handed_over_total',
      help: 'Connections the native engine gave to the portable one',
      labelNames: ['why'],
      registers,
    });
    gauge(`${NGINX}config_last_reload_successful`, '1: the newest configuration is in force', () => 1);
    gauge(
      `${NGINX}config_last_reload_successful_timestamp_seconds`,
      'When the newest configuration came into force',
      () => this.#appliedMs / 1000,
    );
    gauge('weft_ingress_requests_active', 'Requests and tunnels under way', () => state.requests().active);
    gauge('weft_ingress_hosts', 'Hosts in the route table', () => state.hosts());
    gauge('weft_ingress_ingresses', 'Ingresses that are ours', () => state.ingresses());
    registerConnections(registry, state);
    registerCertificates(registry, controllerClass, state);
    registerOrphans(registry, state);
  }

  swapped(wallMs: number): void {
    this.#swaps.inc();
    this.#appliedMs = wallMs;
  }

  ejected(backend: string): void {
    this.#ejections.inc({ backend });
  }

  /** `handshake`: before TLS; `serve`: not for the fast path; `tried`: the endpoint failed; `refuse`: the request did. */
  handedOver(why: string): void {
    this.#handedOver.inc({ why });
  }

  /** The part before a colon is the label: details of clients would have no end. */
  refused(reason: string): void {
    this.#refused.inc({ reason: reason.split(':', 1)[0]! });
  }
}

function registerConnections(registry: Registry, state: ControllerState): void {
  registry.registerMetric(
    new Gauge({
      name: `${NGINX}nginx_process_connections`,
      help: 'Client connections by state',
      labelNames: ['state'],
      registers: [],
      collect() {
        const { active } = state.connections();
        const busy = Math.min(active, state.requests().active);
        this.set({ state: 'active' }, active);
        this.set({ state: 'writing' }, busy);
        this.set({ state: 'waiting' }, active - busy);
      },
    }),
  );
  const accepted = { seen: 0 };
  registry.registerMetric(
    new Counter({
      name: `${NGINX}nginx_process_connections_total`,
      help: 'Client connections so far',
      labelNames: ['state'],
      registers: [],
      collect() {
        const now = state.connections().accepted;
        this.inc({ state: 'accepted' }, now - accepted.seen);
        this.inc({ state: 'handled' }, now - accepted.seen);
        accepted.seen = now;
      },
    }),
  );
}

function registerCertificates(registry: Registry, controllerClass: string, state: ControllerState): void {
  const labelsOf = (host: string, { name }: Certificate): Record<string, string> => {
    const [namespace = '', secret = name] = name.split('/');
    return { host, namespace, secret_name: secret, class: controllerClass };
  };
  registry.registerMetric(
    new Gauge({
      name: `${NGINX}ssl_expire_time_seconds`,
      help: 'When the certificate of a host ends, Unix time',
      labelNames: ['host', 'namespace', 'secret_name', 'class'],
      registers: [],
      collect() {
        this.reset();
        for (const { host, certificate } of state.certificates())
          this.set(labelsOf(host, certificate), Math.floor(certificate.notAfterMs / 1000));
      },
    }),
  );
  registry.registerMetric(
    new Gauge({
      name: `${NGINX}ssl_certificate_info`,
      help: 'The certificate of a host; always 1',
      labelNames: [
        'host',
        'namespace',
        'secret_name',
        'class',
        'issuer_common_name',
        'issuer_organization',
        'serial_number',
        'public_key_algorithm',
        'identifier',
      ],
      registers: [],
      collect() {
        this.reset();
        for (const { host, certificate } of state.certificates())
          this.set({ ...labelsOf(host, certificate), ...details(certificate) }, 1);
      },
    }),
  );
}

function details({ x509, issuer, serial }: Certificate): Record<string, string> {
  return {
    issuer_common_name: /^CN=(.*)$/m.exec(issuer)?.[1] ?? '',
    issuer_organization: /^O=(.*)$/m.exec(issuer)?.[1] ?? '',
    serial_number: serial,
    public_key_algorithm: x509.publicKey.asymmetricKeyType ?? '',
    identifier: createHash('sha1').update(x509.raw).digest('hex'),
  };
}

function registerOrphans(registry: Registry, state: ControllerState): void {
  registry.registerMetric(
    new Gauge({
      name: `${NGINX}orphan_ingress`,
      help: 'Ingresses with a backend that has no service or no endpoints',
      labelNames: ['namespace', 'ingress', 'type'],
      registers: [],
      collect() {
        this.reset();
        for (const { namespace, ingress, type } of state.orphans()) this.set({ namespace, ingress, type }, 1);
      },
    }),
  );
}
