import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { pid } from 'node:process';
import { InvalidArgumentError } from 'commander';
import type { ProxyConfig } from '../../../proxy/config/config.ts';
import { createApiClient } from '../../api/client/api-client.ts';
import type { ClusterAccess } from '../../api/client/kubeconfig.ts';
import { openHttpExchange } from '../../api/client/open-exchange.ts';
import { measuredExchange } from '../../api/client/request-metrics.ts';
import { systemClock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import { Registry } from '../../base/metrics.ts';
import { cidrAddressAt, parseCidr } from '../../net/cidr.ts';
import { exec } from '../../net/exec.ts';
import { openNetlink } from '../../net/netlink/socket.ts';
import { familyOf } from '../../net/ip.ts';
import { type DaemonOptions, NodeDaemon } from '../../node/daemon.ts';
import { INGRESS_CONTROLLER } from '../../node/ingress/ingress-class.ts';
import { claimHost } from '../../node/host/one-per-host.ts';
import { removePodRoutes } from '../../node/host/pod-routes.ts';
import { SystemdNotifier } from '../../node/host/systemd-notifier.ts';
import { type AnnounceFlags, addAnnounceFlags, announceOptions } from './announce-flags.ts';
import { registerBuildInfo } from '../build-info.ts';
import { defaultDataDir } from '../data-dir.ts';
import { type CliContext, EXIT_FAILURE, EXIT_USAGE, ExitError, type RegisterCommand } from '../context.ts';
import { cidrFlag, listenFlag, repeated } from '../flags.ts';
import { readImageMap } from '../image-map-flag.ts';
import { nodeAccess } from '../proxy/node-access.ts';
import { packageVersion } from '../package-version.ts';
import {
  addKubeProxyFlags,
  addOwnProxyFlags,
  type KubeProxyFlags,
  type OwnProxyFlags,
  proxyProtocolOf,
  proxySettings,
  readProxyConfig,
} from '../proxy/flags.ts';
import { startFault } from '../start-fault.ts';
import { removeRules } from '../proxy/remove-rules.ts';
import { stopped } from '../stopped.ts';

type NodeFlags = KubeProxyFlags & OwnProxyFlags & AnnounceFlags & OwnFlags;

interface OwnFlags {
  readonly register?: boolean;
  readonly kubelet?: boolean;
  readonly kubeletPort: number;
  readonly nodeIp?: string;
  readonly podCidr?: string;
  readonly podRoutes?: boolean;
  readonly cleanup?: boolean;
  readonly dataDir?: string;
  readonly lastState: boolean;
  readonly imageMap?: readonly string[];
  readonly clusterDns?: string;
  readonly clusterDomain: string;
  readonly dnsAddress?: readonly string[];
  readonly dnsPort: number;
  readonly dnsConf?: string;
  readonly ingressHttp?: { readonly host: string; readonly port: number };
  readonly ingressHttps?: { readonly host: string; readonly port: number };
  readonly ingressClass: string;
  readonly controllerName: string;
  readonly watchIngressWithoutClass?: boolean;
  readonly strict?: boolean;
}

const EXAMPLES = `
Examples:
  weft node --kubeconfig /etc/weft/kubeconfig --proxy-mode nftables
  weft node --config /var/lib/kube-proxy/config.conf --dns-address 169.254.20.10
  weft node --kubeconfig admin.conf --kubelet --pod-cidr 10.244.1.0/24 --pod-routes --node-ip 192.0.2.11
  weft node --kubeconfig admin.conf --announce-interface eth0
  weft node --kubeconfig admin.conf --bgp-as 64513 --bgp-peer 64512@192.0.2.1
  weft node --cleanup

The flags of kube-proxy all hold: see weft proxy --help. SIGHUP reads the configuration again. SIGTERM drains and
leaves the kernel's rules, pods and routes to them; weft node --cleanup removes rules and routes. Under systemd: Type=notify, WatchdogSec.`;

export const register: RegisterCommand = (program, context) => {
  const command = program
    .command('node')
    .description('node daemon: service proxy, and as asked node-local DNS, ingress and pods')
    .option('--register', 'make and renew the Node object, closed to pods (--kubelet does so itself, open)')
    .option('--node-ip <address>', 'address of this node for others; default: its first one', addressFlag)
    .option('--pod-cidr <cidr>', 'addresses of the pods of this node', cidrFlag)
    .option('--pod-routes', 'route the pod ranges of all nodes between the nodes of one link')
    .option('--cleanup', 'remove the rules of every mode and the routes to pods, then exit')
    .option('--kubelet', 'run pods as processes of this host; needs --pod-cidr')
    .option('--kubelet-port <port>', 'where the API server asks for logs and commands', portFlag, 10_250)
    .option('--data-dir <folder>', 'where pods, their logs and the last state of the API lie')
    .option('--no-last-state', 'keep nothing of the API on disk: a start without it waits')
    .option('--image-map <file|image=command>', 'what runs for an image (repeatable)', repeated)
    .option('--cluster-dns <address>', 'name server given to pods; default: the tenth service address')
    .option('--cluster-domain <name>', 'DNS zone of the cluster', 'cluster.local')
    .option('--dns-address <address>', 'answer DNS here, for this node (repeatable)', addressesFlag)
    .option('--dns-port <port>', 'port of --dns-address', portFlag, 53)
    .option('--dns-conf <file>', 'Corefile of --dns-address')
    .option('--ingress-http <address:port>', 'serve Ingresses here', listenFlag)
    .option('--ingress-https <address:port>', 'serve Ingresses here over TLS', listenFlag)
    .option('--ingress-class <name>', 'class the legacy annotation is compared with', 'weft')
    .option('--controller-name <name>', 'spec.controller of our classes', INGRESS_CONTROLLER)
    .option('--watch-ingress-without-class', 'Ingresses without a class are ours too')
    .option('--strict', 'follow each original’s oddities to the letter');
  addOwnProxyFlags(command);
  addAnnounceFlags(command);
  addKubeProxyFlags(command, true);
  command.addHelpText('after', EXAMPLES).action((flags: NodeFlags) => run(flags, context));
};

async function run(flags: NodeFlags, context: CliContext): Promise<void> {
  if (flags.cleanup) return await cleanup(context);
  const config = await readProxyConfig(flags, context);
  checkFlags(flags);
  const systemd = new SystemdNotifier({ clock: systemClock, log: context.log, env: context.env, pid });
  await using stack = new AsyncDisposableStack();
  stack.use(systemd);
  stack.use(await claimed());
  const access = await accessOf(flags, config, context);
  const open = stack.use(openHttpExchange(access, { clock: systemClock, exec, env: context.env }));
  const options = await daemonOptions(flags, config, access, context);
  const metrics = new Registry();
  registerBuildInfo(metrics, 'proxy');
  const exchange = measuredExchange(
    open.exchange,
    { clock: systemClock, metrics },
    { prefix: '', host: access.server.host },
  );
  const deps = {
    clock: systemClock,
    log: context.log,
    metrics,
    exec,
    openNetlink,
    random: Math.random,
    client: createApiClient(exchange, { userAgent: `weft-node/${packageVersion()}` }),
    onReady: (name: string, detail: string): void => context.stdout.write(`${name.padEnd(12)} ${detail}\n`),
  };
  const daemon = await NodeDaemon.open(deps, options, context.stop).catch((error: unknown) => {
    if (context.stop.aborted) throw new ExitError(0, 'stopped before it was ready');
    throw startFault(error);
  });
  stack.use(daemon);
  stack.use(context.onReload(() => void reload(flags, context, daemon, systemd)));
  const status = `node ${options.nodeName}, proxy mode ${config.mode}`;
  systemd.ready(status);
  systemd.watch(() => daemon.isWell);
  context.stdout.write('ready\n');
  await stopped(context.stop);
  systemd.stopping();
  context.stdout.write('stopping: answering what is under way\n');
}

/** What outlives the daemon, so that pods stay reachable while another one starts. */
async function cleanup(context: CliContext): Promise<void> {
  await using _ = await claimed();
  const routes = await removePodRoutes(exec);
  const faults = [
    ...(await removeRules(context)),
    ...(routes === undefined ? [] : [`pod routes: ${routes}`]),
  ];
  if (faults.length > 0) throw new ExitError(EXIT_FAILURE, `not all was removed\n  ${faults.join('\n  ')}`);
  context.stdout.write('removed the rules of every mode and the routes to pods\n');
}

/** A second daemon would take the routes and the DNS address of the first one with it when it ends. */
async function claimed(): Promise<AsyncDisposable> {
  try {
    return await claimHost('weft node', pid);
  } catch (error) {
    throw startFault(error);
  }
}

/** A faulty configuration leaves the old one in force. */
async function reload(
  flags: NodeFlags,
  context: CliContext,
  daemon: NodeDaemon,
  systemd: SystemdNotifier,
): Promise<void> {
  systemd.reloading();
  let status = 'configuration read again';
  try {
    daemon.reconfigure(proxySettings(await readProxyConfig(flags, context), flags.strict));
  } catch (error) {
    context.log.error('reload refused', { reason: messageOf(error) });
    status = 'the new configuration is not valid: the old one is in force';
  }
  systemd.ready(status);
}

async function accessOf(
  { master }: NodeFlags,
  { kubeconfig }: ProxyConfig,
  { env }: CliContext,
): Promise<ClusterAccess> {
  try {
    return await nodeAccess(env, kubeconfig, master);
  } catch (error) {
    throw new ExitError(EXIT_USAGE, `${messageOf(error)}. Name a kubeconfig with --kubeconfig.`);
  }
}

/** What is wrong whatever the API server says. */
function checkFlags(flags: NodeFlags): void {
  proxyProtocolOf(flags);
  for (const name of ['kubelet', 'podRoutes'] as const) {
    if (flags[name] && flags.podCidr === undefined)
      throw new ExitError(EXIT_USAGE, `--${name === 'kubelet' ? name : 'pod-routes'} needs --pod-cidr`);
  }
}

/** Pods of ours are processes of this host: their addresses are its own, whoever routes between the nodes. */
function podRoutesOf({ podCidr, podRoutes = false, kubelet = false }: NodeFlags): DaemonOptions['podRoutes'] {
  return podRoutes || kubelet ? { own: kubelet ? podCidr : undefined, toOthers: podRoutes } : undefined;
}

async function daemonOptions(
  flags: NodeFlags,
  config: ProxyConfig,
  { server, caPem }: ClusterAccess,
  context: CliContext,
): Promise<DaemonOptions> {
  const { podCidr } = flags;
  const settings = proxySettings(config, flags.strict);
  const { nodeName } = settings;
  const dataDir = flags.dataDir ?? join(defaultDataDir(context.env), 'node');
  const host = { nodeName, hostIP: flags.nodeIp ?? firstAddress(), version: packageVersion() };
  return {
    nodeName,
    proxy: {
      config,
      settings,
      proxyProtocol: proxyProtocolOf(flags),
      probeEndpoints: flags.probeEndpoints === true,
      capture: flags.userspaceCapture,
    },
    registration:
      flags.register && !flags.kubelet
        ? { ...host, podCidr, dataDir: '/', labels: {}, unschedulable: true }
        : undefined,
    kubelet:
      flags.kubelet && podCidr !== undefined
        ? {
            kubelet: { ...host, ...(await kubeletOptions(flags, context)), podCidr, dataDir },
            listen: caPem ? { host: host.hostIP, port: flags.kubeletPort, clientCaPem: caPem } : undefined,
          }
        : undefined,
    podRoutes: podRoutesOf(flags),
    lastState: flags.lastState ? { folder: join(dataDir, 'last-state'), server: server.href } : undefined,
    announce: announceOptions(flags, {
      nodeName,
      nodeIP: host.hostIP,
      keepsForwarding: config.mode !== 'userspace',
    }),
    ...serverOptions(flags),
  };
}

async function kubeletOptions(
  flags: NodeFlags,
  { env }: CliContext,
): Promise<
  Pick<
    NonNullable<DaemonOptions['kubelet']>['kubelet'],
    'clusterDns' | 'clusterDomain' | 'hostEnv' | 'imageMap'
  >
> {
  return {
    clusterDns: flags.clusterDns ?? flags.dnsAddress?.[0] ?? cidrAddressAt(parseCidr(SERVICE_CIDR)!, 10n)!,
    clusterDomain: flags.clusterDomain,
    hostEnv: { PATH: env['PATH'] ?? '/usr/bin:/bin', ...(env['HOME'] && { HOME: env['HOME'] }) },
    imageMap: await readImageMap(flags.imageMap ?? []),
  };
}

/** Of `weft server`. */
const SERVICE_CIDR = '10.96.0.0/12';

function serverOptions(flags: NodeFlags): Pick<DaemonOptions, 'dns' | 'ingress'> {
  const { dnsAddress = [], ingressHttp, ingressHttps, clusterDomain } = flags;
  const strict = flags.strict === true;
  return {
    dns:
      dnsAddress.length > 0
        ? { addresses: dnsAddress, port: flags.dnsPort, corefile: flags.dnsConf, clusterDomain, strict }
        : undefined,
    ingress:
      ingressHttp || ingressHttps
        ? {
            http: ingressHttp,
            https: ingressHttps,
            ingressClass: flags.ingressClass,
            controllerName: flags.controllerName,
            watchWithoutClass: flags.watchIngressWithoutClass === true,
            strict,
            statusAddresses: [],
          }
        : undefined,
  };
}

function firstAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const outside = all.find(({ internal, family }) => !internal && family === 'IPv4');
  return (outside ?? all.find(({ internal }) => !internal))?.address ?? '127.0.0.1';
}

function addressFlag(text: string): string {
  if (!familyOf(text)) throw new InvalidArgumentError('Use an IP address.');
  return text;
}

function addressesFlag(text: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, ...text.split(',').map(addressFlag)];
}

function portFlag(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) throw new InvalidArgumentError('Use a port from 0 to 65535.');
  return port;
}
