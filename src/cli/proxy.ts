import { hostname, networkInterfaces } from 'node:os';
import { Tracker } from '../../endpoints/tracker.ts';
import { openBackend, renderMode, MODE_NAMES } from '../../proxy/backends.ts';
import type { ProxyConfig } from '../../proxy/config.ts';
import { hostAddresses } from '../../proxy/host-addresses.ts';
import type { HttpListener } from '../../proxy/http-listener.ts';
import { openMetricsServer } from '../../proxy/metrics-server.ts';
import { NodeViewTracker } from '../../endpoints/node-view-tracker.ts';
import { Proxier } from '../../proxy/proxier.ts';
import { ServiceCIDRs } from '../../proxy/service-cidrs.ts';
import { nodeSettings, type ProxySettings } from '../../proxy/settings.ts';
import { systemClock } from '../base/clock.ts';
import { hasCode, messageOf } from '../base/fault.ts';
import { Registry } from '../base/metrics.ts';
import { exec } from '../net/exec.ts';
import { joinHostPort, type Family } from '../net/ip.ts';
import { type CliContext, EXIT_FAILURE, EXIT_USAGE, ExitError, type RegisterCommand } from './context.ts';
import { addKubeProxyFlags, readProxyConfig, type KubeProxyFlags } from './proxy-flags.ts';
import { openProxySource } from './proxy-source.ts';

interface ProxyFlags extends KubeProxyFlags {
  readonly from?: string[];
  readonly node?: string;
  readonly render?: boolean;
  readonly cleanup?: boolean;
  readonly once?: boolean;
  readonly strict?: boolean;
  readonly proxyProtocol?: 'v1' | 'v2';
}

/** How long the objects of an API server may take to arrive before --render and --once give up. */
const SYNC_DEADLINE_MS = 60_000;

export const register: RegisterCommand = (program, context) => {
  const command = program
    .command('proxy')
    .description("service proxy with kube-proxy's flags and configuration file")
    .option(
      '--from <path...>',
      'manifests (file, folder or -) instead of an API server; changes are followed',
    )
    .option('--proxy-protocol <version>', 'announce clients to endpoints: v1 or v2 (mode userspace)')
    .option('--strict', "follow kube-proxy's oddities to the letter")
    .option('--render', 'print what would be written to the kernel, then exit')
    .option('--once', 'write the rules once, then exit and leave them serving')
    .option('--cleanup', 'remove the rules of every mode, then exit');
  addKubeProxyFlags(command);
  command
    .addHelpText(
      'after',
      '\nExamples:\n  weft proxy --config /var/lib/kube-proxy/config.conf --hostname-override "$(hostname)"\n' +
        '  weft proxy --from manifests/ --proxy-mode userspace\n' +
        '  weft proxy --from manifests/ --proxy-mode nftables --hostname-override alpha --render\n',
    )
    .action((flags: ProxyFlags) => run(flags, context));
};

async function run(flags: ProxyFlags, context: CliContext): Promise<void> {
  const config = await readProxyConfig(flags, context);
  if (flags.cleanup) return await cleanup(context);
  if (flags.once && config.mode === 'userspace')
    throw new ExitError(EXIT_USAGE, 'mode userspace serves only while it runs; --once needs a kernel mode');
  if (flags.proxyProtocol !== undefined && !['v1', 'v2'].includes(flags.proxyProtocol))
    throw new ExitError(EXIT_USAGE, `--proxy-protocol ${flags.proxyProtocol}: use v1 or v2`);
  await using stack = new AsyncDisposableStack();
  const metrics = new Registry();
  const tracker = new Tracker({ log: context.log, metrics });
  const settings = settingsOf(config, flags);
  let proxier: Proxier | undefined;
  const cidrs = new ServiceCIDRs((serviceCIDRs) => proxier?.reconfigure({ ...settings, serviceCIDRs }));
  const { from } = flags;
  const source = await openProxySource(context, {
    sinks: [tracker, cidrs],
    from,
    kubeconfig: config.kubeconfig,
    follow: !flags.render && !flags.once,
    deadlineMs: SYNC_DEADLINE_MS,
    metrics,
  });
  stack.use(source);
  tracker.flush();
  const known = { ...settings, serviceCIDRs: cidrs.cidrs };
  if (flags.render) return render(context, config, known, tracker);
  proxier = await openProxier(context, config, known, { flags, tracker, metrics });
  stack.use(proxier);
  if (flags.once) return;
  stack.use(reload(flags, context, proxier, () => cidrs.cidrs));
  for (const listener of await listenMetrics(context, config, proxier, metrics)) stack.use(listener);
  announce(context, config, proxier);
  await stopped(context.stop);
}

function settingsOf(config: ProxyConfig, { strict = false }: ProxyFlags): ProxySettings {
  const { mode, detectLocal, masqueradeAll, localhostNodePorts, nodePortAddresses, allowExternalIPs } =
    config;
  return {
    mode,
    nodeName: (config.hostnameOverride || hostname()).trim().toLowerCase(),
    families: hostFamilies(),
    detectLocal,
    masqueradeAll,
    localhostNodePorts,
    nodePortAddresses,
    serviceCIDRs: [],
    allowExternalIPs,
    strict,
  };
}

/** IPv6 only where the kernel has it. */
function hostFamilies(): readonly Family[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.some(({ family }) => family === 'IPv6') ? ['IPv4', 'IPv6'] : ['IPv4'];
}

/** Every mode is asked: rules may be left from another mode, or from kube-proxy. */
async function cleanup(context: CliContext): Promise<void> {
  const faults: string[] = [];
  for (const mode of MODE_NAMES) {
    for (const family of hostFamilies()) {
      try {
        const deps = { clock: systemClock, log: context.log, exec };
        await using backend = await openBackend(mode, deps, { family });
        await backend.cleanup(context.stop);
      } catch (error) {
        if (!hasCode(error, 'EXEC_NOT_FOUND')) faults.push(`${mode} ${family}: ${messageOf(error)}`);
      }
    }
  }
  if (faults.length > 0) throw new ExitError(EXIT_FAILURE, `not all was removed\n  ${faults.join('\n  ')}`);
  context.stdout.write('removed the rules of every mode\n');
}

function render(context: CliContext, config: ProxyConfig, settings: ProxySettings, tracker: Tracker): void {
  for (const family of settings.families) {
    const node = tracker.snapshot.nodes.get(settings.nodeName);
    const views = new NodeViewTracker(tracker, nodeSettings(settings, family, hostAddresses(), node));
    context.stdout.write(renderMode(config.mode, views.refresh().view, { family, kernel: config.kernel }));
  }
}

async function openProxier(
  context: CliContext,
  config: ProxyConfig,
  settings: ProxySettings,
  { flags, tracker, metrics }: { flags: ProxyFlags; tracker: Tracker; metrics: Registry },
): Promise<Proxier> {
  const deps = { snapshots: tracker, clock: systemClock, log: context.log, exec, metrics, hostAddresses };
  const options = {
    settings,
    minSyncMs: config.minSyncMs,
    syncPeriodMs: config.syncPeriodMs,
    kernel: config.kernel,
    ...(flags.proxyProtocol !== undefined && { proxyProtocol: flags.proxyProtocol }),
  };
  const { healthz } = config;
  if (flags.once || !healthz) return await Proxier.open(deps, options);
  try {
    return await Proxier.open(deps, { ...options, healthz });
  } catch (error) {
    if (config.bindAddressHardFail || !hasCode(error, 'EADDRINUSE')) throw error;
    context.log.error('healthz not served', { reason: messageOf(error) });
    return await Proxier.open(deps, options);
  }
}

/** SIGHUP reads the configuration again; a faulty one leaves the old one in force. */
function reload(
  flags: ProxyFlags,
  context: CliContext,
  proxier: Proxier,
  serviceCIDRs: () => readonly string[],
): Disposable {
  return context.onReload(() => {
    readProxyConfig(flags, context).then(
      (config) => proxier.reconfigure({ ...settingsOf(config, flags), serviceCIDRs: serviceCIDRs() }),
      (error: unknown) => context.log.error('reload refused', { reason: messageOf(error) }),
    );
  });
}

async function listenMetrics(
  context: CliContext,
  config: ProxyConfig,
  proxier: Proxier,
  registry: Registry,
): Promise<readonly HttpListener[]> {
  if (!config.metrics) return [];
  const mode = (): string => proxier.status.current.value.mode;
  const deps = { registry, mode, config: () => config, isReady: () => true };
  try {
    return [await openMetricsServer(deps, config.metrics)];
  } catch (error) {
    if (config.bindAddressHardFail) throw error;
    context.log.error('metrics not served', { reason: messageOf(error) });
    return [];
  }
}

function announce(context: CliContext, config: ProxyConfig, proxier: Proxier): void {
  const { stdout } = context;
  stdout.write(`proxy: mode ${config.mode}, ${proxier.views.map(({ node }) => node.family).join(' and ')}\n`);
  const { healthz, metrics } = config;
  if (healthz && proxier.healthzPort !== undefined)
    stdout.write(`healthz: ${joinHostPort(healthz.address ?? '::', proxier.healthzPort)}\n`);
  if (metrics) stdout.write(`metrics: ${joinHostPort(metrics.address ?? '::', metrics.port)}\n`);
  const { refused } = proxier.status.current.value;
  for (const { key, reason } of refused) stdout.write(`refused: ${key}: ${reason}\n`);
  stdout.write('ready\n');
}

function stopped(stop: AbortSignal): Promise<void> {
  if (stop.aborted) return Promise.resolve();
  return new Promise((resolve) => stop.addEventListener('abort', () => resolve(), { once: true }));
}
