import { type Fallthrough, fallsThrough } from '../../fallthrough.ts';
import { canonicalAddress } from '../../../src/net/ip.ts';
import { addressRecord, addressRecords, srvRecords } from '../../cluster/host-records.ts';
import { zoneOf } from '../../cluster/look-up.ts';
import type { ClusterNode } from '../../cluster/node.ts';
import { isReverseZone } from '../../cluster/options.ts';
import { reverseAddress } from '../../cluster/reverse-name.ts';
import type { Plugin, PluginDeps } from '../../plugin.ts';
import { failure, type Handler, type Outcome, type Query } from '../../query.ts';
import { record, replyTo, type ResourceRecord, type TypedRecord } from '../../wire/message.ts';
import { labelsBelow, zoneAsAsked } from '../../wire/name.ts';
import type { Rcode } from '../../wire/numbers.ts';
import { KubernetesPlugin } from '../kubernetes/serve.ts';
import { externalNames, externalNode } from './node.ts';

export interface ExternalOptions {
  readonly zones: readonly string[];
  /** PTR targets lie in it. */
  readonly primaryZone: string;
  readonly apex: string;
  readonly ttlSeconds: number;
  readonly headless: boolean;
  readonly fallthrough: Fallthrough;
}

export function openExternal(deps: PluginDeps, options: ExternalOptions): Plugin {
  return new External(deps, options);
}

interface Found {
  readonly rcode: Rcode;
  readonly answers: readonly ResourceRecord[];
  readonly additionals?: readonly ResourceRecord[];
  readonly truncated?: boolean;
  readonly passesOn?: boolean;
}

const NXDOMAIN: Found = { rcode: 'NXDOMAIN', answers: [] };
const NODATA: Found = { rcode: 'NOERROR', answers: [] };

/** A second kind of zone, for people outside: `service.namespace.zone` with the addresses they can reach. */
class External implements Plugin {
  readonly name = 'k8s_external';
  readonly transparent = true;
  readonly ownsZones: readonly string[];
  readonly #deps: PluginDeps;
  readonly #options: ExternalOptions;

  constructor(deps: PluginDeps, options: ExternalOptions) {
    this.#deps = deps;
    this.#options = options;
    this.ownsZones = options.zones;
  }

  serve(query: Query, next: Handler): Outcome | Promise<Outcome> {
    const zone = zoneOf(query.name, this.#options.zones);
    const kubernetes = this.#deps.chain.plugin('kubernetes');
    if (zone === undefined || query.question.class !== 'IN') return next(query);
    if (!(kubernetes instanceof KubernetesPlugin)) {
      return failure('SERVFAIL', 'k8s_external needs the kubernetes plugin in the same block');
    }
    const found = this.#look(kubernetes, query, zone);
    if (found instanceof Promise)
      return found.then((settled) => this.#reply(kubernetes, query, zone, settled));
    if (found.rcode === 'NXDOMAIN' && fallsThrough(this.#options.fallthrough, query.name)) return next(query);
    return this.#reply(kubernetes, query, zone, found);
  }

  #look(kubernetes: KubernetesPlugin, query: Query, zone: string): Found | Promise<Found> {
    const labels = labelsBelow(query.name, zone);
    if (labels.length === 0) return this.#apex(kubernetes, query, zone);
    if (labels.at(-1) === this.#options.apex) return this.#belowApex(kubernetes, query, labels);
    if (isReverseZone(zone)) return this.#pointers(kubernetes, query);
    const node = externalNode(kubernetes.view, kubernetes.options, labels, this.#options.headless);
    return this.#records(query, zone, node);
  }

  #records(query: Query, zone: string, node: ClusterNode): Found | Promise<Found> {
    const { name, type } = query.question;
    const { ttlSeconds } = this.#options;
    if (node.kind === 'absent') return NXDOMAIN;
    if (node.kind === 'alias') return this.#alias(query, node.target);
    if (node.kind !== 'hosts') return NODATA;
    if (type === 'A' || type === 'AAAA') {
      return { rcode: 'NOERROR', answers: addressRecords(node.hosts, type, name, ttlSeconds) };
    }
    if (type !== 'SRV') return NODATA;
    const { answers, glue } = srvRecords(node.hosts, name, ttlSeconds, zoneAsAsked(name, zone));
    return { rcode: 'NOERROR', answers, additionals: glue };
  }

  async #alias(query: Query, target: string): Promise<Found> {
    const { name, type } = query.question;
    const alias = record(name, this.#options.ttlSeconds, 'CNAME', { target });
    if (type === 'CNAME' || (type !== 'A' && type !== 'AAAA')) {
      return type === 'CNAME' ? { rcode: 'NOERROR', answers: [alias] } : NODATA;
    }
    const found = await this.#deps.host.resolve(query, { ...query.question, name: target });
    return { rcode: 'NOERROR', answers: [alias, ...found.answers], truncated: found.truncated };
  }

  #apex(kubernetes: KubernetesPlugin, query: Query, zone: string): Found {
    const asked = zoneAsAsked(query.question.name, zone);
    if (query.question.type === 'SOA') return { rcode: 'NOERROR', answers: [this.#soa(kubernetes, asked)] };
    if (query.question.type !== 'NS') return NODATA;
    const target = `ns1.${this.#options.apex}.${asked}`;
    const answers = [record(asked, this.#options.ttlSeconds, 'NS', { target })];
    return { rcode: 'NOERROR', answers, additionals: this.#serverAddresses(kubernetes, target) };
  }

  /** `dns` has no records, `ns1.dns` the addresses under which outsiders reach this server. */
  #belowApex(kubernetes: KubernetesPlugin, query: Query, labels: readonly string[]): Found {
    if (labels.length === 1) return NODATA;
    if (labels.length > 2 || labels[0] !== 'ns1') return NXDOMAIN;
    const records = this.#serverAddresses(kubernetes, query.question.name);
    return { rcode: 'NOERROR', answers: records.filter(({ type }) => type === query.question.type) };
  }

  #serverAddresses(kubernetes: KubernetesPlugin, name: string): ResourceRecord[] {
    const own = this.#deps.host.addresses;
    const fronting = own.flatMap((address) =>
      kubernetes.view
        .servicesAt(address)
        .filter(({ endpoints }) => endpoints.some((one) => one.ready && one.address === address))
        .flatMap((service) => externalNames(service).addresses),
    );
    const addresses = fronting.length > 0 ? [...new Set(fronting)] : own;
    return addresses.map((address) => addressRecord(name, this.#options.ttlSeconds, address));
  }

  #pointers(kubernetes: KubernetesPlugin, query: Query): Found {
    const spelled = reverseAddress(query.name);
    if (!spelled) return NXDOMAIN;
    const address = spelled.address && canonicalAddress(spelled.address);
    if (!address) return kubernetes.options.strict ? NXDOMAIN : NODATA;
    const targets = [...kubernetes.view.services()]
      .filter((service) => externalNames(service).addresses.includes(address))
      .map(({ name, namespace }) => `${name}.${namespace}.${this.#options.primaryZone}`);
    if (targets.length === 0) return NXDOMAIN;
    if (query.question.type !== 'PTR') return NODATA;
    const { name } = query.question;
    const answers = targets.map((target) => record(name, this.#options.ttlSeconds, 'PTR', { target }));
    return { rcode: 'NOERROR', answers };
  }

  #soa(kubernetes: KubernetesPlugin, zone: string): TypedRecord<'SOA'> {
    const { apex, ttlSeconds } = this.#options;
    return record(zone, ttlSeconds, 'SOA', {
      mname: `ns1.${apex}.${zone}`,
      rname: `hostmaster.${apex}.${zone}`,
      serial: kubernetes.view.serial,
      refresh: 7200,
      retry: 1800,
      expire: 86_400,
      minimum: ttlSeconds,
    });
  }

  #reply(kubernetes: KubernetesPlugin, query: Query, zone: string, found: Found): Outcome {
    const asked = zoneAsAsked(query.question.name, zone);
    const authorities = found.answers.length === 0 ? [this.#soa(kubernetes, asked)] : [];
    const { rcode, answers, additionals = [], truncated = false } = found;
    const parts = { rcode, answers, additionals, authorities, truncated, authoritative: true };
    return { kind: 'reply', message: replyTo(query.request, parts) };
  }
}
