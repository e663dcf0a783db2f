import type { Ingress, IngressLoadBalancerIngress } from '../src/api/kinds/ingress.ts';
import type { Logger } from '../src/base/log.ts';
import { asksForCertificate } from './acme/wanted.ts';
import { type Certificate, CertificateStore, coversHost } from './certificates/certificate-store.ts';
import { ServerNames, type TlsDefaults } from './certificates/server-names.ts';
import { secretText } from './certificates/secrets.ts';
import { classVerdict } from './compile/classes.ts';
import { compileIngress, type CompiledIngress } from './compile/compile-ingress.ts';
import { type AnnotationVerdict, AnnotationReader } from './annotations/reader.ts';
import { isSafeHeader } from './annotations/access.ts';
import { readPolicy } from './annotations/read-policy.ts';
import type { RouteTable } from './compile/route-table.ts';
import { TableBuilder } from './compile/table-builder.ts';
import { defaultSettings } from './default-settings.ts';
import { settingsFrom } from './config-map.ts';
import { clusterId } from './upstream/clusters.ts';
import { IngressObjects } from './objects.ts';
import { SecretReferences, secretsOf } from './secret-references.ts';
import type { GlobalSettings } from './settings.ts';
import { passthroughTargets, type ServiceTarget } from './streams/passthrough.ts';

/** What became of one Ingress: a verdict per annotation and what is not served. */
export interface AnnotationReport {
  readonly verdicts: readonly AnnotationVerdict[];
  readonly problems: readonly string[];
}

export interface ConfigurationOptions {
  readonly ingressClass: string;
  readonly controllerName: string;
  readonly watchWithoutClass: boolean;
  readonly applyDefaultClass: boolean;
  readonly configMap?: string;
  readonly defaultCertificate?: string;
  readonly strict: boolean;
  readonly statusAddresses: readonly IngressLoadBalancerIngress[];
  readonly settings?: Partial<GlobalSettings>;
}

/** From objects to what is served: keeps compiled Ingresses and brings only the changed ones up to date. */
export class Configuration {
  readonly objects: IngressObjects;
  readonly certificates: CertificateStore;
  readonly #options: ConfigurationOptions;
  readonly #builder: TableBuilder;
  readonly #log: Logger;
  readonly #references: SecretReferences;
  readonly #reports = new Map<string, [Ingress, AnnotationReport]>();
  readonly #statuses = new Map<
    string,
    { ingress: Ingress; addresses: readonly IngressLoadBalancerIngress[] }
  >();
  readonly serverNames: ServerNames;
  /** Ingresses with ssl-passthrough. */
  readonly #passing = new Set<string>();
  /** Ingresses that ask a CA for certificates. */
  readonly #asking = new Set<string>();
  #settings: GlobalSettings;
  /** What became of each key of the ConfigMap. */
  settingsVerdicts: readonly AnnotationVerdict[] = [];
  #passthrough: ReadonlyMap<string, ServiceTarget> = new Map();
  #statusAddresses: readonly IngressLoadBalancerIngress[];
  #applied = false;

  constructor(
    deps: { log: Logger; changed: () => void },
    options: ConfigurationOptions,
    fallback: Certificate,
  ) {
    this.objects = new IngressObjects(deps.changed);
    this.#options = options;
    this.#log = deps.log;
    this.certificates = new CertificateStore({
      log: deps.log,
      secret: (key) => this.objects.secrets.get(key),
    });
    this.#builder = new TableBuilder({
      strict: options.strict,
      certificateCovers: (secret, host) => coversHost(this.certificates.get(secret)?.dnsNames ?? [], host),
    });
    const { defaultCertificate } = options;
    this.#references = new SecretReferences(defaultCertificate === undefined ? [] : [defaultCertificate]);
    this.#statusAddresses = options.statusAddresses;
    this.#settings = { ...defaultSettings(options.strict), ...options.settings };
    this.serverNames = new ServerNames(
      {
        certificate: (key) => this.certificates.get(key),
        clientCa: (key) => this.clientCa(key),
        fallback: () =>
          (defaultCertificate === undefined ? undefined : this.certificates.get(defaultCertificate)) ??
          fallback,
      },
      tlsDefaults(this.#settings),
    );
  }

  /** Backends of ssl-passthrough by server name. */
  get passthrough(): ReadonlyMap<string, ServiceTarget> {
    return this.#passthrough;
  }

  get settings(): GlobalSettings {
    return this.#settings;
  }

  /** The first complete list has been applied. */
  get applied(): boolean {
    return this.#applied;
  }

  get ingresses(): ReadonlyMap<string, CompiledIngress> {
    return this.#builder.ingresses;
  }

  /** Compiles what changed. */
  apply(): { table: RouteTable; settings: GlobalSettings } {
    const changes = this.objects.takeChanges();
    const reset = this.#applySettings(changes.configMaps);
    const all = changes.classes || reset;
    const keys = new Set(all ? this.objects.ingresses.keys() : changes.ingresses);
    for (const key of changes.ingresses) keys.add(key);
    for (const key of keys) this.#compile(key);
    for (const secret of changes.secrets)
      for (const key of this.#references.ownersOf(secret)) this.#builder.touch(key);
    const table = this.#builder.build();
    if (this.objects.hasSynced) this.#applied = true;
    return { table, settings: this.#settings };
  }

  /** Reads the ConfigMap again when it, or one it names, changed; true when the settings changed. */
  #applySettings(changed: ReadonlySet<string>): boolean {
    const { configMap } = this.#options;
    if (changed.size === 0 || configMap === undefined) return false;
    const found = this.objects.configMaps.get(configMap);
    const named = Object.values(found?.data ?? {});
    if (!changed.has(configMap) && !named.some((value) => changed.has(value.trim()))) return false;
    const base = { ...defaultSettings(this.#options.strict), ...this.#options.settings };
    const { settings, verdicts } = settingsFrom(base, found, this.objects.configMaps);
    this.settingsVerdicts = verdicts;
    for (const { annotation: key, verdict, detail } of verdicts)
      if (verdict === 'refused') this.#log.warn('ConfigMap entry without effect', { configMap, key, detail });
    this.#settings = settings;
    this.serverNames.setDefaults(tlsDefaults(settings));
    return true;
  }

  /** What ClusterSet knows the backends of all routes by. */
  clusterIds(): ReadonlySet<string> {
    const ids = new Set<string>();
    for (const { target, serviceUpstream } of this.#builder.targets())
      if (target.kind === 'service') ids.add(clusterId(target.key, serviceUpstream));
    return ids;
  }

  /** The authorities of an auth-tls-secret. */
  clientCa(secretKey: string): string | undefined {
    return secretText(this.objects.secrets.get(secretKey), 'ca.crt');
  }

  /** The entries of a ConfigMap that may stand in a header. */
  fieldsOf(key: string): readonly (readonly [string, string])[] {
    const entries = Object.entries(this.objects.configMaps.get(key)?.data ?? {});
    return entries.filter(([name, value]) => isSafeHeader(name, value));
  }

  /** Fields of a custom-headers ConfigMap that global-allowed-response-headers lets through. */
  responseHeaders(key: string): readonly (readonly [string, string])[] {
    const allowed = this.#settings.allowedResponseHeaders;
    return this.fieldsOf(key).filter(([name]) => allowed.has(name.toLowerCase()));
  }

  /** The certificate of each host that Ingresses name one for. */
  *servedCertificates(): Generator<{ host: string; certificate: Certificate }> {
    const seen = new Set<string>();
    for (const { tls } of this.#builder.ingresses.values()) {
      for (const host of tls.flatMap(({ hosts }) => hosts)) {
        if (seen.has(host)) continue;
        seen.add(host);
        yield { host, certificate: this.serverNames.lookup(host).certificate };
      }
    }
  }

  /** The Ingresses of ours that ask a CA for certificates, as they are written. */
  *askingIngresses(): Generator<Ingress> {
    for (const key of this.#asking) {
      const ingress = this.objects.ingresses.get(key);
      if (ingress) yield ingress;
    }
  }

  /** What merging with other Ingresses cost this one. */
  conflictsOf(key: string): string[] {
    return this.#builder.problemsOf(key);
  }

  takeReports(): [Ingress, AnnotationReport][] {
    const reports = [...this.#reports.values()];
    this.#reports.clear();
    return reports;
  }

  takeStatuses(): { ingress: Ingress; addresses: readonly IngressLoadBalancerIngress[] }[] {
    const statuses = [...this.#statuses.values()];
    this.#statuses.clear();
    return statuses;
  }

  /** The Secrets referred to, when they changed since the last call. */
  takeSecretReferences(): ReadonlySet<string> | undefined {
    return this.#references.takeChanged();
  }

  /** What every Ingress of ours has to show from now on. */
  setStatusAddresses(addresses: readonly IngressLoadBalancerIngress[]): void {
    this.#statusAddresses = addresses;
    for (const key of this.#builder.ingresses.keys()) {
      const ingress = this.objects.ingresses.get(key);
      if (ingress) this.#wantStatus(key, ingress, addresses);
    }
  }

  #compile(key: string): void {
    const ingress = this.objects.ingresses.get(key);
    if (!ingress || !classVerdict(ingress, this.objects.classes, this.#options).ours) {
      this.#references.put(key, []);
      const was = this.#builder.ingresses.get(key);
      this.#replace(was, undefined);
      this.#asking.delete(key);
      if (was && ingress) this.#wantStatus(key, ingress, []);
      return;
    }
    const reader = new AnnotationReader(
      ingress.metadata.namespace ?? 'default',
      ingress.metadata.annotations,
    );
    const compiled = compileIngress(ingress, readPolicy(reader, this.#settings));
    this.#replace(this.#builder.ingresses.get(key), compiled);
    if (asksForCertificate(ingress)) this.#asking.add(key);
    else this.#asking.delete(key);
    this.#references.put(key, secretsOf(compiled));
    this.#reports.set(key, [ingress, { verdicts: reader.verdicts(), problems: compiled.problems }]);
    if (this.#statusAddresses.length > 0) this.#wantStatus(key, ingress, this.#statusAddresses);
  }

  #wantStatus(key: string, ingress: Ingress, addresses: readonly IngressLoadBalancerIngress[]): void {
    const have = ingress.status?.loadBalancer?.ingress ?? [];
    if (JSON.stringify(have) !== JSON.stringify(addresses)) this.#statuses.set(key, { ingress, addresses });
  }

  #replace(before: CompiledIngress | undefined, after: CompiledIngress | undefined): void {
    const key = (after ?? before)?.key;
    if (key === undefined) return;
    this.serverNames.replace(before, after);
    if (after) this.#builder.put(after);
    else this.#builder.remove(key);
    if (after?.policy.sslPassthrough) this.#passing.add(key);
    else if (!this.#passing.delete(key)) return;
    const passing = [...this.#passing].flatMap((each) => this.#builder.ingresses.get(each) ?? []);
    this.#passthrough = passthroughTargets(passing.sort(byAge));
  }
}

function byAge(a: CompiledIngress, b: CompiledIngress): number {
  if (a.created !== b.created) return a.created < b.created ? -1 : 1;
  return a.key < b.key ? -1 : 1;
}

function tlsDefaults({ tls, useHttp2 }: GlobalSettings): TlsDefaults {
  return { ...tls, http2: useHttp2 };
}
