import { Buffer } from 'node:buffer';
import { messageOf } from '../../../base/fault.ts';
import { familyOf, splitHostPort } from '../../../net/ip.ts';
import { equalJson } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import type { AddressPool } from '../allocate/address-pool.ts';
import { KeyedLoop } from '../keyed-loop.ts';
import { SERVER_LEASE_SECONDS, SERVER_RENEW_MS } from '../limits.ts';
import type { Core } from '../verbs/context.ts';
import { ensureObject } from './system-objects.ts';

/** One key a living server, bound to its lease. */
const SERVERS = '/weft/servers/';
const NAME = 'kubernetes';
const NAMESPACE = 'default';
const LABELS = { component: 'apiserver', provider: 'kubernetes' };
const PORT_NAME = 'https';

interface Place {
  readonly host: string;
  readonly port: number;
}

interface ServiceOptions {
  readonly pool: AddressPool;
  /** `address:port` of this server. */
  readonly advertised: string;
  /** Others may serve the same store: each holds a lease, and the endpoints are those of all who do. */
  readonly shared: boolean;
}

/** Keeps the `kubernetes` Service in default, with the first ClusterIP, and behind it the servers that live. */
export class KubernetesService implements AsyncDisposable {
  readonly #core: Core;
  readonly #options: ServiceOptions;
  readonly #loop: KeyedLoop;
  #leaseId: string | undefined;
  #timer: Disposable | undefined;

  /** Resolves when the Service and its endpoints stand. */
  static async open(core: Core, options: ServiceOptions): Promise<KubernetesService> {
    const service = new KubernetesService(core, options);
    try {
      await service.#announce();
      await service.#keep();
    } catch (error) {
      await service[Symbol.asyncDispose]();
      throw error;
    }
    service.#follow();
    return service;
  }

  private constructor(core: Core, options: ServiceOptions) {
    this.#core = core;
    this.#options = options;
    this.#loop = new KeyedLoop(core, 'kubernetes service', () => this.#keep());
  }

  /** Others stop sending clients here at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#timer?.[Symbol.dispose]();
    await this.#loop[Symbol.asyncDispose]();
    const leaseId = this.#leaseId;
    if (leaseId === undefined) return;
    await this.#core.store.revokeLease(leaseId).catch((error: unknown) => {
      this.#core.log.debug('server lease not given back', { reason: messageOf(error) });
    });
  }

  /** Somebody deletes or changes what clients find the API by: it is put right. */
  #follow(): void {
    const { registry, objects } = this.#core;
    for (const [apiVersion, kind] of OBJECTS) {
      const info = registry.findByKind(apiVersion, kind);
      if (!info) continue;
      this.#loop.follow(objects.cacheOf(info), ({ entry }) =>
        entry.name === NAME && entry.namespace === NAMESPACE ? NAME : undefined,
      );
    }
    if (this.#options.shared) this.#renewLater();
  }

  #renewLater(): void {
    this.#timer = this.#core.clock.setTimer(SERVER_RENEW_MS, () => {
      this.#announce()
        .then(() => this.#loop.mark(NAME))
        .catch((error: unknown) =>
          this.#core.log.warn('server lease not renewed', { reason: messageOf(error) }),
        );
      this.#renewLater();
    });
  }

  async #announce(): Promise<void> {
    const { shared, advertised } = this.#options;
    if (!shared) return;
    const { store } = this.#core;
    if (this.#leaseId !== undefined && (await store.renewLease(this.#leaseId))) return;
    this.#leaseId = await store.grantLease(SERVER_LEASE_SECONDS);
    await store.put(SERVERS + advertised, Buffer.from(advertised, 'utf8'), undefined, {
      leaseId: this.#leaseId,
    });
  }

  async #servers(): Promise<Place[]> {
    const { shared, advertised } = this.#options;
    const addresses = shared
      ? (await this.#core.store.range(SERVERS)).entries.map(({ key }) => key.slice(SERVERS.length))
      : [advertised];
    return addresses.flatMap((address) => splitHostPort(address) ?? []);
  }

  async #keep(): Promise<void> {
    const { pool } = this.#options;
    const servers = await this.#servers();
    await this.#core.objects.hub.fresh();
    // The cluster's own family is what its clients speak; ports may differ between servers.
    const own = servers.filter(({ host }) => familyOf(host) === pool.family);
    const places = own.length > 0 ? own : servers;
    const [first] = places;
    if (!first) return;
    await ensureObject(this.#core, serviceObject(pool, first.port));
    await reconcile(this.#core, endpointsObject(places));
    await reconcile(this.#core, sliceObject(places, first));
  }
}

const OBJECTS = [
  ['v1', 'Service'],
  ['v1', 'Endpoints'],
  ['discovery.k8s.io/v1', 'EndpointSlice'],
] as const;

function serviceObject(pool: AddressPool, targetPort: number): UnknownObject {
  const clusterIP = pool.addressAt(0);
  return {
    kind: 'Service',
    apiVersion: 'v1',
    metadata: { name: NAME, namespace: NAMESPACE, labels: LABELS },
    spec: {
      clusterIP,
      clusterIPs: [clusterIP],
      ipFamilies: [pool.family],
      ipFamilyPolicy: 'SingleStack',
      internalTrafficPolicy: 'Cluster',
      ports: [{ name: PORT_NAME, port: 443, protocol: 'TCP', targetPort }],
      sessionAffinity: 'None',
      type: 'ClusterIP',
    },
    status: { loadBalancer: {} },
  };
}

function endpointsObject(places: readonly Place[]): UnknownObject {
  const byPort = Map.groupBy(places, ({ port }) => port);
  return {
    kind: 'Endpoints',
    apiVersion: 'v1',
    metadata: {
      name: NAME,
      namespace: NAMESPACE,
      labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' },
    },
    subsets: Array.from(byPort, ([port, those]) => ({
      addresses: those.map(({ host }) => ({ ip: host })),
      ports: [{ name: PORT_NAME, port, protocol: 'TCP' }],
    })),
  };
}

/** A slice has one port: servers that listen on another one than the first are in Endpoints only. */
function sliceObject(places: readonly Place[], { host, port }: Place): UnknownObject {
  return {
    kind: 'EndpointSlice',
    apiVersion: 'discovery.k8s.io/v1',
    metadata: { name: NAME, namespace: NAMESPACE, labels: { 'kubernetes.io/service-name': NAME } },
    addressType: familyOf(host) ?? 'IPv4',
    endpoints: places
      .filter((one) => one.port === port)
      .map((one) => ({ addresses: [one.host], conditions: { ready: true } })),
    ports: [{ name: PORT_NAME, port, protocol: 'TCP' }],
  };
}

/** Like ensureObject, but what is there and differs is replaced. */
async function reconcile(core: Core, object: UnknownObject): Promise<void> {
  const kind = core.registry.findByKind(object.apiVersion, object.kind);
  if (!kind) return;
  const { name, namespace = '' } = object.metadata;
  const entry = core.objects.get(kind, namespace, name);
  if (!entry) return await ensureObject(core, object);
  const { resourceVersion: _, ...metadata } = entry.object.metadata;
  const next = { ...object, metadata };
  if (!equalJson({ ...entry.object, metadata }, next)) {
    await core.objects.put(kind, namespace, name, next, entry.revision);
  }
}
