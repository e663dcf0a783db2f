import type { NodeSettings } from '../../endpoints/node-view.ts';
import { Tracker } from '../../endpoints/tracker.ts';
import type { ProxyConfig } from '../../proxy/config/config.ts';
import type { Proxier } from '../../proxy/proxier.ts';
import { ServiceCIDRs } from '../../proxy/service-cidrs.ts';
import type { ProxySettings } from '../../proxy/settings.ts';
import type { UserspaceCapture } from '../../proxy/userspace/kernel-table.ts';
import type { ApiClient } from '../api/client/client.ts';
import { type EventRecorder, openEventRecorder } from '../api/client/event-recorder.ts';
import { feedSink } from '../api/client/feed-sink.ts';
import { type InformerFactory, openInformerFactory } from '../api/client/informer-factory.ts';
import { resources } from '../api/client/resources.ts';
import { NodeAgent, type NodeAgentOptions } from '../kubelet/node-agent.ts';
import { joinHostPort } from '../net/ip.ts';
import { type AnnounceOptions, Announcer } from './proxy/announce-part.ts';
import { feedModel, SERVED } from './cluster-model.ts';
import { type ConntrackLoad, openConntrackWatch } from './host/conntrack-watch.ts';
import { applyHostTuning, applyTuning, strictArp } from './host/host-tuning.ts';
import { type IngressPartOptions, openIngressPart } from './ingress/ingress-part.ts';
import { openLater } from './later.ts';
import { LastState } from './last-state.ts';
import { type LocalDnsOptions, openLocalDns } from './dns/local-dns.ts';
import { type KubeletPartOptions, openKubeletPart } from './kubelet-part.ts';
import type { NodeDeps } from './parts.ts';
import { openProxyPart, type ProxyPart } from './proxy/proxy-part.ts';
import { PodRoutes, type PodRoutesOptions } from './host/pod-routes.ts';
import { openProxyReports } from './proxy/proxy-reports.ts';

export interface DaemonDeps extends NodeDeps {
  readonly client: ApiClient;
}

export interface DaemonOptions {
  readonly nodeName: string;
  readonly proxy: {
    readonly config: ProxyConfig;
    readonly settings: ProxySettings;
    readonly proxyProtocol: 'v1' | 'v2' | undefined;
    readonly probeEndpoints: boolean;
    readonly capture: UserspaceCapture;
  };
  /** Makes and renews the Node object; the kubelet does that itself. */
  readonly registration: NodeAgentOptions | undefined;
  readonly kubelet: KubeletPartOptions | undefined;
  /** Undefined: the cluster has a pod network already. */
  readonly podRoutes: Pick<PodRoutesOptions, 'own' | 'toOthers'> | undefined;
  readonly dns: LocalDnsOptions | undefined;
  readonly ingress: IngressPartOptions | undefined;
  readonly announce: AnnounceOptions | undefined;
  /** Where the state of the API is kept for a start without it; undefined: such a start waits. */
  readonly lastState: { readonly folder: string; readonly server: string } | undefined;
}

/**
 * Proxy, node-local DNS, ingress and kubelet of one host as one process. What the API server said last goes on being
 * served while it cannot be reached. Disposal drains in reverse order; kernel rules, pods and their routes stay.
 */
export class NodeDaemon implements AsyncDisposable {
  readonly #deps: DaemonDeps;
  readonly #options: DaemonOptions;
  readonly #stack = new AsyncDisposableStack();
  readonly #cidrs: ServiceCIDRs;
  #settings: ProxySettings;
  #proxy: ProxyPart | undefined;
  #isReady = false;

  private constructor(deps: DaemonDeps, options: DaemonOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#settings = options.proxy.settings;
    this.#cidrs = new ServiceCIDRs((serviceCIDRs) => this.#reconfigure({ serviceCIDRs }));
  }

  /** Resolves when every part serves. Waits for the API server until the signal is aborted. */
  static async open(deps: DaemonDeps, options: DaemonOptions, signal: AbortSignal): Promise<NodeDaemon> {
    const daemon = new NodeDaemon(deps, options);
    try {
      await daemon.#start(signal);
    } catch (error) {
      await daemon[Symbol.asyncDispose]();
      throw error;
    }
    return daemon;
  }

  get proxier(): Proxier | undefined {
    return this.#proxy?.proxier;
  }

  /** Changes reach the data plane in time: what the watchdog wants to know. */
  get isWell(): boolean {
    return this.#proxy?.proxier.health.healthy ?? true;
  }

  /** New settings without a restart; a new mode serves before the old one lets go. */
  reconfigure(settings: ProxySettings): void {
    this.#reconfigure({ ...settings, serviceCIDRs: this.#cidrs.cidrs });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isReady = false;
    await this.#stack.disposeAsync();
  }

  async #start(signal: AbortSignal): Promise<void> {
    const informers = await this.#openInformers();
    const recorder = this.#stack.use(
      openEventRecorder(this.#deps, { component: 'weft-node', host: this.#options.nodeName }),
    );
    const tracker = new Tracker(this.#deps);
    const names = { namespaces: this.#options.dns !== undefined, pods: false };
    this.#stack.use(await feedModel(informers, tracker, names, signal));
    this.#stack.use(feedSink(informers.informer(resources.serviceCIDRs), this.#cidrs));
    tracker.flush();
    this.#openPodRoutes(tracker);
    // without the API no node is registered: what is known is served meanwhile
    const isAway = informers.informer(resources.services).resourceVersion === '';
    if (isAway) this.#stack.use(openLater(this.#deps, (later) => this.#openPods(later)));
    else this.#stack.use(await this.#openPods(signal));
    await this.#openProxy(tracker, recorder);
    await this.#openServers(tracker, informers, signal);
    await this.#openAnnouncer(tracker);
    this.#isReady = true;
  }

  async #openInformers(): Promise<InformerFactory> {
    const { lastState } = this.#options;
    const options = lastState && { ...lastState, resources: SERVED };
    const memory = options && this.#stack.use(await LastState.open(this.#deps, options));
    const deps = { ...this.#deps, ...(memory && { memory }) };
    return this.#stack.use(openInformerFactory(this.#deps.client, deps));
  }

  /** The routes to pods. */
  #openPodRoutes(tracker: Tracker): void {
    const { podRoutes, nodeName } = this.#options;
    if (podRoutes === undefined) return;
    this.#stack.use(new PodRoutes({ ...this.#deps, snapshots: tracker }, { nodeName, ...podRoutes }));
    const { own, toOthers } = podRoutes;
    const ways = [...(own === undefined ? [] : [`${own} is here`]), ...(toOthers ? ['to all nodes'] : [])];
    this.#deps.onReady('pod routes', ways.join(', '));
  }

  /** The Node object, and pods. */
  async #openPods(signal: AbortSignal): Promise<AsyncDisposable> {
    const { registration, kubelet, nodeName } = this.#options;
    await using stack = new AsyncDisposableStack();
    if (registration) {
      const agent = stack.use(new NodeAgent(this.#deps, registration));
      await untilAborted(agent.registered, signal);
      this.#deps.onReady('node', `${nodeName} at ${registration.hostIP}`);
    }
    if (kubelet) stack.use(await openKubeletPart(this.#deps, kubelet, signal));
    return stack.move();
  }

  async #openProxy(tracker: Tracker, recorder: EventRecorder): Promise<void> {
    const { nodeName, proxy } = this.#options;
    const { config, ...rest } = proxy;
    const { conntrack } = config.kernel;
    if (config.mode !== 'userspace')
      await applyHostTuning(this.#deps.log, { conntrack, oomScoreAdj: config.oomScoreAdj });
    this.#settings = { ...this.#settings, serviceCIDRs: this.#cidrs.cidrs };
    const part = await openProxyPart(
      { ...this.#deps, snapshots: tracker, isReady: () => this.#isReady },
      { ...rest, config, settings: this.#settings, listen: true },
    );
    this.#proxy = this.#stack.use(part);
    const uidOf = (key: string): string | undefined => tracker.snapshot.services.get(key)?.uid;
    this.#stack.use(openProxyReports({ ...this.#deps, proxier: part.proxier, uidOf }, { nodeName }));
    const onFull = (load: ConntrackLoad, droppedNow: number): void =>
      this.#conntrackFull(recorder, load, droppedNow);
    this.#stack.use(openConntrackWatch({ clock: this.#deps.clock, onFull }));
    const { onReady } = this.#deps;
    onReady('proxy', `mode ${config.mode} on node ${nodeName}`);
    if (part.healthzPort !== undefined)
      onReady('healthz', joinHostPort(config.healthz?.address ?? '::', part.healthzPort));
    if (part.metricsPort !== undefined)
      onReady('metrics', joinHostPort(config.metrics?.address ?? '::', part.metricsPort));
  }

  async #openServers(tracker: Tracker, informers: InformerFactory, signal: AbortSignal): Promise<void> {
    const { dns: dnsOptions, ingress: ingressOptions } = this.#options;
    const deps = { ...this.#deps, snapshots: tracker, informers };
    const dns = dnsOptions && this.#stack.use(await openLocalDns(deps, dnsOptions)).server;
    for (const { transport, address, port } of dns?.addresses ?? [])
      this.#deps.onReady('dns', `${transport} ${joinHostPort(address, port)}`);
    if (!ingressOptions) return;
    const part = this.#stack.use(await openIngressPart({ ...deps, dns }, ingressOptions, signal));
    for (const { protocol, host, port } of part.controller.addresses)
      this.#deps.onReady('ingress', `${protocol}://${joinHostPort(host, port)}`);
  }

  /** Last, and so the first to go: nobody is sent here before all serves. */
  async #openAnnouncer(tracker: Tracker): Promise<void> {
    const { announce, proxy } = this.#options;
    const proxier = this.#proxy?.proxier;
    if (!announce || !proxier) return;
    const isLocal = proxy.config.mode === 'userspace' || proxy.config.mode === 'ipvs';
    if (isLocal) await applyTuning(this.#deps.log, strictArp(announce.interfaces));
    const settings = (): readonly NodeSettings[] => proxier.views.map(({ node }) => node);
    this.#stack.use(new Announcer({ ...this.#deps, snapshots: tracker, settings }, announce));
    const ways = [
      ...announce.interfaces.map((name) => `ARP and NDP on ${name}`),
      ...(announce.bgp?.peers ?? []).map(
        ({ address, autonomousSystem }) => `BGP to ${address} in AS ${autonomousSystem}`,
      ),
    ];
    this.#deps.onReady('announce', ways.join(', '));
  }

  #reconfigure(changed: Partial<ProxySettings>): void {
    this.#settings = { ...this.#settings, ...changed };
    this.#proxy?.proxier.reconfigure(this.#settings);
  }

  #conntrackFull(recorder: EventRecorder, { count, max }: ConntrackLoad, droppedNow: number): void {
    const { nodeName } = this.#options;
    this.#deps.log.error('connection table full', { count, max, dropped: droppedNow });
    const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: nodeName, uid: nodeName } };
    const message =
      `the kernel dropped ${droppedNow} packets because its connection table is full (${count} of ${max}); ` +
      'raise --conntrack-max-per-core';
    recorder.record(node, 'Warning', 'ConntrackFull', message);
  }
}

function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
