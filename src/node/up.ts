import { join } from 'node:path';
import { Tracker } from '../../endpoints/tracker.ts';
import { DnsServer } from '../../dns/server/dns-server.ts';
import { hostAddresses } from '../../proxy/host-addresses.ts';
import type { ProxyMode } from '../../proxy/backend.ts';
import { Proxier } from '../../proxy/proxier.ts';
import { SETTINGS_DEFAULT } from '../../proxy/settings.ts';
import { Kubelet, type KubeletOptions } from '../kubelet/kubelet.ts';
import { cidrAddressAt, parseCidr } from '../net/cidr.ts';
import { joinHostPort } from '../net/ip.ts';
import { feedModel } from './cluster-model.ts';
import { type ControlPlane, openControlPlane } from './control-plane.ts';
import { publishClusterDns } from './dns/cluster-dns.ts';
import { INGRESS_CONTROLLER } from './ingress/ingress-class.ts';
import { type IngressPart, openIngressPart } from './ingress/ingress-part.ts';
import { nodeCorefile, upstreamsBeside } from './dns/node-corefile.ts';
import type { NodeDeps } from './parts.ts';
import { openProxyReports } from './proxy/proxy-reports.ts';

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export interface UpOptions {
  readonly dataDir: string | undefined;
  readonly store: string | undefined;
  readonly apiListen: ListenAddress;
  readonly dnsListen: ListenAddress;
  readonly ingressHttp: ListenAddress;
  readonly ingressHttps: ListenAddress;
  readonly proxyMode: ProxyMode;
  readonly serviceCidr: string;
  readonly podCidr: string;
  readonly clusterDomain: string;
  readonly nodeName: string;
  readonly version: string;
  readonly strict: boolean;
  readonly kubelet: Pick<KubeletOptions, 'hostEnv' | 'imageMap' | 'staticPodDir'>;
  /** Where pods and their logs lie: dataDir, or a folder that goes with this run. */
  readonly stateDir: string;
  /** Given to LoadBalancer services. */
  readonly loadBalancerAddresses: readonly string[];
}

/** Everything on one host, running. Disposal drains in reverse order and ends all pods. */
export interface Up extends AsyncDisposable {
  readonly control: ControlPlane;
  readonly tracker: Tracker;
  readonly dns: DnsServer;
  readonly proxier: Proxier;
  readonly ingress: IngressPart['controller'];
}

const NODE_PORTS = { from: 30_000, to: 32_767 } as const;
const SYNC_MIN_MS = 20;
const SYNC_PERIOD_MS = 30_000;
/** What pods get to end themselves when the host's `weft up` stops. */
const POD_STOP_GRACE_SECONDS = 10;
/** Who stops the whole host does not wait for open WebSockets. */
const INGRESS_DRAIN_MS = 5_000;

export async function openUp(deps: NodeDeps, options: UpOptions): Promise<Up> {
  await using stack = new AsyncDisposableStack();
  const control = stack.use(
    await openControlPlane(deps, {
      dataDir: options.dataDir,
      store: options.store,
      listen: options.apiListen,
      serviceCidrs: [options.serviceCidr],
      nodePortRange: NODE_PORTS,
      controllers: { loadBalancerPools: [{ name: 'host', addresses: options.loadBalancerAddresses }] },
    }),
  );
  const tracker = new Tracker(deps, { pods: true });
  stack.use(await feedModel(control.informers, tracker, { namespaces: true, pods: true }));
  tracker.flush();
  stack.use(await openKubelet(deps, control, options));
  deps.onReady('kubelet', `node ${options.nodeName}, pods in ${options.podCidr}`);
  const dns = stack.use(await openDns(deps, tracker, options));
  await publishClusterDns(control.client, {
    clusterIP: clusterDnsAddress(options),
    listen: boundDns(dns),
    clusterDomain: options.clusterDomain,
  });
  deps.onReady(
    'dns',
    `${joinHostPort(boundDns(dns).host, boundDns(dns).port)} (UDP and TCP), zone ${options.clusterDomain}`,
  );
  const proxier = stack.use(await openProxier(deps, tracker, options));
  const uidOf = (key: string): string | undefined => tracker.snapshot.services.get(key)?.uid;
  stack.use(openProxyReports({ ...deps, client: control.client, proxier, uidOf }, options));
  deps.onReady('proxy', `${options.proxyMode}, services in ${options.serviceCidr}`);
  const { controller: ingress } = stack.use(await openIngress(deps, control, tracker, dns, options));
  deps.onReady(
    'ingress',
    ingress.addresses.map((each) => `${each.protocol}://${joinHostPort(each.host, each.port)}`).join(' and '),
  );
  const owned = stack.move();
  return { control, tracker, dns, proxier, ingress, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function openKubelet(
  deps: NodeDeps,
  control: ControlPlane,
  options: UpOptions,
): Promise<AsyncDisposable> {
  const kubelet = await Kubelet.open(
    { ...deps, client: control.client },
    {
      ...options.kubelet,
      nodeName: options.nodeName,
      dataDir: join(options.stateDir, 'kubelet'),
      hostIP: '127.0.0.1',
      podCidr: options.podCidr,
      clusterDns: clusterDnsAddress(options),
      clusterDomain: options.clusterDomain,
      version: options.version,
    },
  );
  void control.server.attachKubelet({ nodeName: options.nodeName, door: kubelet.door });
  return {
    async [Symbol.asyncDispose]() {
      await kubelet.stopPods({ graceSecondsMax: POD_STOP_GRACE_SECONDS });
      await kubelet[Symbol.asyncDispose]();
    },
  };
}

function openDns(deps: NodeDeps, tracker: Tracker, options: UpOptions): Promise<DnsServer> {
  const { clusterDomain, dnsListen } = options;
  const upstreams = upstreamsBeside(deps.log, [dnsListen, { host: clusterDnsAddress(options), port: 53 }]);
  return DnsServer.open(
    { ...deps, snapshots: tracker },
    {
      corefile: { text: nodeCorefile({ clusterDomain, pods: 'verified', upstreams }) },
      dnsPort: options.dnsListen.port,
      defaultBind: [options.dnsListen.host],
      strict: options.strict,
    },
  );
}

function boundDns(dns: DnsServer): ListenAddress {
  const bound = dns.addresses.find((each) => each.transport === 'udp') ?? dns.addresses[0]!;
  return { host: bound.address, port: bound.port };
}

function openProxier(deps: NodeDeps, tracker: Tracker, options: UpOptions): Promise<Proxier> {
  return Proxier.open(
    { ...deps, snapshots: tracker, hostAddresses },
    {
      settings: {
        ...SETTINGS_DEFAULT,
        mode: options.proxyMode,
        nodeName: options.nodeName,
        families: ['IPv4'],
        serviceCIDRs: [options.serviceCidr],
        nodePortAddresses: ['127.0.0.0/8'],
      },
      minSyncMs: SYNC_MIN_MS,
      syncPeriodMs: SYNC_PERIOD_MS,
      // a relay thread of its own costs 15 MB, on a host that runs the pods too
      engine: 'portable',
    },
  );
}

function openIngress(
  deps: NodeDeps,
  { client, informers }: ControlPlane,
  snapshots: Tracker,
  dns: DnsServer,
  options: UpOptions,
): Promise<IngressPart> {
  return openIngressPart(
    { ...deps, client, informers, snapshots, dns },
    {
      http: options.ingressHttp,
      https: options.ingressHttps,
      ingressClass: 'weft',
      controllerName: INGRESS_CONTROLLER,
      watchWithoutClass: true,
      strict: options.strict,
      statusAddresses: [{ ip: options.ingressHttp.host }],
      drainMs: INGRESS_DRAIN_MS,
    },
  );
}

/** The tenth address of the service range, where clusters have their DNS. */
function clusterDnsAddress(options: UpOptions): string {
  return cidrAddressAt(parseCidr(options.serviceCidr)!, 10n)!;
}
