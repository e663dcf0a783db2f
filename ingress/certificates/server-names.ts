import { constants } from 'node:crypto';
import type tls from 'node:tls';
import type { CompiledIngress } from '../compile/compile-ingress.ts';
import type { ClientCertificatePolicy, RoutePolicy } from '../policy.ts';
import { type Certificate, coversHost } from './certificate-store.ts';

/** How TLS for one server name is spoken. Immutable; a change of anything in it makes a new one. */
export interface ServerTls {
  readonly certificate: Certificate;
  /** For tls.createServer, complete. */
  readonly options: tls.TlsOptions;
  readonly clientCertificate: ClientCertificatePolicy | undefined;
  /** The CA bundle client certificates are checked against; undefined with a policy = it is missing. */
  readonly clientCa: string | undefined;
}

export interface ServerNameDeps {
  certificate(secretKey: string): Certificate | undefined;
  clientCa(secretKey: string): string | undefined;
  /** Answers names nobody has a certificate for. */
  fallback(): Certificate;
}

export interface TlsDefaults {
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  readonly ciphers: string | undefined;
  readonly http2: boolean;
}

/** What lookup made for a certificate and a policy, and the policy as text. */
interface Made {
  readonly tls: ServerTls;
  readonly facts: string;
}

/**
 * Which certificate answers a server name: exact names before wildcards, the oldest Ingress with a usable secret
 * first, else the default certificate. SNI picks the certificate, the Host picks the route. A change of one Ingress
 * costs its own names; a context whose inputs stay lives on, and with it its session tickets.
 */
export class ServerNames {
  readonly #deps: ServerNameDeps;
  #defaults: TlsDefaults;
  /** Secrets by host of a tls entry; under the empty name those of entries without hosts. Oldest first. */
  readonly #secrets = new Map<string, Claim<string>[]>();
  /** Ingresses that say how TLS is spoken, by rule host. Oldest first. */
  readonly #policies = new Map<string, Claim<RoutePolicy>[]>();
  /** By certificate, then by the Ingress of the policy. */
  readonly #made = new Map<string, Map<string, Made>>();

  constructor(deps: ServerNameDeps, defaults: TlsDefaults) {
    this.#deps = deps;
    this.#defaults = defaults;
  }

  /** Makes every context anew when the defaults differ from those before. */
  setDefaults(defaults: TlsDefaults): void {
    const { minVersion, ciphers, http2 } = this.#defaults;
    this.#defaults = defaults;
    if (minVersion !== defaults.minVersion || ciphers !== defaults.ciphers || http2 !== defaults.http2)
      this.#made.clear();
  }

  /** Takes one Ingress in the place of what it was before. */
  replace(before: CompiledIngress | undefined, after: CompiledIngress | undefined): void {
    if (before && after && namesOf(before) === namesOf(after)) {
      // only the policies may be other objects now
      for (const host of policyHosts(before)) drop(this.#policies, host, before.key);
      for (const host of policyHosts(after)) claim(this.#policies, host, after, after.policy);
      return;
    }
    if (before) this.#remove(before);
    if (!after) return;
    for (const [host, secret] of secretsByHost(after)) claim(this.#secrets, host, after, secret);
    for (const host of policyHosts(after)) claim(this.#policies, host, after, after.policy);
  }

  lookup(serverName: string | undefined): ServerTls {
    const name = serverName ?? '';
    const certificate = this.#certificate(name);
    const said = (this.#policies.get(name) ?? this.#policies.get(wildcardOf(name)))?.[0];
    const clientCertificate = said?.value.clientCertificate;
    const clientCa = clientCertificate && this.#deps.clientCa(clientCertificate.secret);
    const facts = said ? tlsFacts(said.value) : '';
    let byPolicy = this.#made.get(certificate.name);
    if (!byPolicy) this.#made.set(certificate.name, (byPolicy = new Map()));
    const known = byPolicy.get(said?.key ?? '');
    if (known?.tls.certificate === certificate && known.facts === facts && known.tls.clientCa === clientCa)
      return known.tls;
    const made = this.#make(certificate, said?.value, clientCa);
    byPolicy.set(said?.key ?? '', { tls: made, facts });
    return made;
  }

  /** The certificate served for a name; `default` when none is configured. */
  certificateFor(serverName: string | undefined): string {
    return this.lookup(serverName).certificate.name;
  }

  #remove(ingress: CompiledIngress): void {
    for (const [host, secret] of secretsByHost(ingress)) {
      drop(this.#secrets, host, ingress.key);
      this.#made.delete(secret);
    }
    for (const host of policyHosts(ingress)) drop(this.#policies, host, ingress.key);
  }

  #make(certificate: Certificate, policy: RoutePolicy | undefined, clientCa: string | undefined): ServerTls {
    const clientCertificate = policy?.clientCertificate;
    const ciphers = policy?.tls.ciphers ?? this.#defaults.ciphers;
    const asks = clientCertificate !== undefined && clientCertificate.verify !== 'off';
    const options: tls.TlsOptions = {
      cert: certificate.pair.cert,
      key: certificate.pair.key,
      minVersion: policy?.tls.minVersion ?? this.#defaults.minVersion,
      ALPNProtocols: this.#defaults.http2 ? ['h2', 'http/1.1'] : ['http/1.1'],
      requestCert: asks,
      rejectUnauthorized: false,
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      ...(ciphers !== undefined && { ciphers, honorCipherOrder: true }),
      ...(asks && { ca: clientCa ?? [] }),
    };
    return { certificate, options, clientCertificate, clientCa };
  }

  #certificate(name: string): Certificate {
    if (name === '') return this.#deps.fallback();
    for (const key of [name, wildcardOf(name)]) {
      for (const { value } of this.#secrets.get(key) ?? []) {
        const certificate = this.#deps.certificate(value);
        if (certificate) return certificate;
      }
    }
    for (const { value } of this.#secrets.get('') ?? []) {
      const certificate = this.#deps.certificate(value);
      if (certificate && coversHost(certificate.dnsNames, name)) return certificate;
    }
    return this.#deps.fallback();
  }
}

/** What one Ingress says of a name. */
interface Claim<T> {
  readonly key: string;
  readonly created: string;
  readonly value: T;
}

/** Puts a claim in its place by age, then by name. */
function claim<T>(claims: Map<string, Claim<T>[]>, name: string, by: CompiledIngress, value: T): void {
  let list = claims.get(name);
  if (!list) claims.set(name, (list = []));
  const { key, created } = by;
  const older = (other: Claim<T>): boolean =>
    other.created === created ? other.key <= key : other.created < created;
  let at = list.length;
  while (at > 0 && !older(list[at - 1]!)) at--;
  list.splice(at, 0, { key, created, value });
}

function drop<T>(claims: Map<string, Claim<T>[]>, name: string, key: string): void {
  const left = claims.get(name)?.filter((each) => each.key !== key) ?? [];
  if (left.length > 0) claims.set(name, left);
  else claims.delete(name);
}

function secretsByHost({ tls }: CompiledIngress): [string, string][] {
  return tls.flatMap(({ hosts, secret }) =>
    secret === undefined
      ? []
      : hosts.length === 0
        ? [['', secret] as [string, string]]
        : hosts.map((host): [string, string] => [host, secret]),
  );
}

/** The hosts an Ingress says more of than which certificate they have. */
function policyHosts({ policy, hosts }: CompiledIngress): ReadonlySet<string> {
  const { clientCertificate, tls: spoken } = policy;
  const says =
    clientCertificate !== undefined || spoken.ciphers !== undefined || spoken.minVersion !== undefined;
  return new Set(says ? hosts.map(({ host }) => host) : []);
}

const namesOf = ({ created, tls: entries }: CompiledIngress): string => JSON.stringify([created, entries]);

/** All a context takes from a policy. */
function tlsFacts({ tls: spoken, clientCertificate: asked }: RoutePolicy): string {
  return JSON.stringify([spoken, asked && { ...asked, matchCn: asked.matchCn?.source }]);
}

function wildcardOf(name: string): string {
  const dot = name.indexOf('.');
  return dot < 0 ? '*' : `*${name.slice(dot)}`;
}
