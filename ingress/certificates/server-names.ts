import type tls from 'node:tls';
import type { CompiledIngress } from '../compile/compile-ingress.ts';
import type { ClientCertificatePolicy } from '../policy.ts';
import { type Certificate, coversHost } from './certificate-store.ts';

/** How TLS for one server name is spoken. Immutable; a change of anything in it makes a new one. */
export interface ServerTls {
  readonly certificate: Certificate;
  /** For tls.createServer, complete. */
  readonly options: tls.TlsOptions;
  readonly policy: CompiledIngress | undefined;
  readonly clientCertificate: ClientCertificatePolicy | undefined;
  /** The CA bundle client certificates are checked against; undefined with a policy = it is missing. */
  readonly clientCa: string | undefined;
}

export interface ServerNameDeps {
  certificate(secretKey: string): Certificate | undefined;
  clientCa(secretKey: string): string | undefined;
}

export interface TlsDefaults {
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  readonly ciphers: string | undefined;
  readonly http2: boolean;
}

/**
 * Which certificate answers a server name: exact names before wildcards, the oldest Ingress with a usable secret
 * first, else the default certificate. SNI picks the certificate, the Host picks the route.
 */
export class ServerNames {
  readonly #deps: ServerNameDeps;
  readonly #fallback: Certificate;
  readonly #defaults: TlsDefaults;
  readonly #byName: ReadonlyMap<string, readonly string[]>;
  readonly #unnamed: readonly string[];
  readonly #policies: ReadonlyMap<string, CompiledIngress>;
  readonly #made = new Map<string, ServerTls>();

  /** `ingresses` oldest first. */
  constructor(
    deps: ServerNameDeps,
    ingresses: readonly CompiledIngress[],
    fallback: Certificate,
    defaults: TlsDefaults,
    previous?: ServerNames,
  ) {
    this.#deps = deps;
    this.#fallback = fallback;
    this.#defaults = defaults;
    const byName = new Map<string, string[]>();
    const unnamed: string[] = [];
    const policies = new Map<string, CompiledIngress>();
    for (const ingress of ingresses) {
      for (const { hosts, secret } of ingress.tls) {
        if (secret === undefined) continue;
        if (hosts.length === 0) unnamed.push(secret);
        for (const host of hosts) (byName.get(host) ?? byName.set(host, []).get(host)!).push(secret);
      }
      if (ingress.policy.clientCertificate || ingress.policy.tls.ciphers || ingress.policy.tls.minVersion) {
        for (const { host } of ingress.hosts) if (!policies.has(host)) policies.set(host, ingress);
      }
    }
    this.#byName = byName;
    this.#unnamed = unnamed;
    this.#policies = policies;
    if (previous) this.#inherit(previous);
  }

  lookup(serverName: string | undefined): ServerTls {
    const name = serverName ?? '';
    const certificate = this.#certificate(name);
    const policy = this.#policyFor(name);
    const id = `${certificate.name} ${policy?.key ?? ''}`;
    let made = this.#made.get(id);
    if (!made) this.#made.set(id, (made = this.#make(certificate, policy)));
    return made;
  }

  /** The certificate served for a name; `default` when none is configured. */
  certificateFor(serverName: string | undefined): string {
    return this.lookup(serverName).certificate.name;
  }

  /** Contexts whose inputs did not change live on, and with them their session tickets. */
  #inherit(previous: ServerNames): void {
    if (previous.#defaults.minVersion !== this.#defaults.minVersion) return;
    if (previous.#defaults.ciphers !== this.#defaults.ciphers) return;
    if (previous.#defaults.http2 !== this.#defaults.http2) return;
    for (const [id, made] of previous.#made) {
      const [name, key] = id.split(' ') as [string, string];
      const certificate = name === this.#fallback.name ? this.#fallback : this.#deps.certificate(name);
      const policy = [...this.#policies.values()].find((ingress) => ingress.key === key);
      if (certificate !== made.certificate || policy !== made.policy) continue;
      const secret = made.clientCertificate?.secret;
      if (secret === undefined || this.#deps.clientCa(secret) === made.clientCa) this.#made.set(id, made);
    }
  }

  #make(certificate: Certificate, policy: CompiledIngress | undefined): ServerTls {
    const clientCertificate = policy?.policy.clientCertificate;
    const clientCa = clientCertificate && this.#deps.clientCa(clientCertificate.secret);
    const ciphers = policy?.policy.tls.ciphers ?? this.#defaults.ciphers;
    const asks = clientCertificate !== undefined && clientCertificate.verify !== 'off';
    const options: tls.TlsOptions = {
      cert: certificate.pair.cert,
      key: certificate.pair.key,
      minVersion: policy?.policy.tls.minVersion ?? this.#defaults.minVersion,
      ALPNProtocols: this.#defaults.http2 ? ['h2', 'http/1.1'] : ['http/1.1'],
      requestCert: asks,
      rejectUnauthorized: false,
      ...(ciphers !== undefined && { ciphers, honorCipherOrder: true }),
      ...(asks && { ca: clientCa ?? [] }),
    };
    return { certificate, options, policy, clientCertificate, clientCa };
  }

  #policyFor(name: string): CompiledIngress | undefined {
    return this.#policies.get(name) ?? this.#policies.get(wildcardOf(name));
  }

  #certificate(name: string): Certificate {
    if (name === '') return this.#fallback;
    for (const key of [name, wildcardOf(name)]) {
      for (const secret of this.#byName.get(key) ?? []) {
        const certificate = this.#deps.certificate(secret);
        if (certificate) return certificate;
      }
    }
    for (const secret of this.#unnamed) {
      const certificate = this.#deps.certificate(secret);
      if (certificate && coversHost(certificate.dnsNames, name)) return certificate;
    }
    return this.#fallback;
  }
}

function wildcardOf(name: string): string {
  const dot = name.indexOf('.');
  return dot < 0 ? '*' : `*${name.slice(dot)}`;
}
