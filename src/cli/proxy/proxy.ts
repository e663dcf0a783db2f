import { writeFile } from 'node:fs/promises';
import { Option } from 'commander';
import { Tracker } from '../../../endpoints/tracker.ts';
import { renderMode } from '../../../proxy/backends.ts';
import type { FieldValues } from '../../../proxy/config/fields.ts';
import { configText } from '../../../proxy/config/text.ts';
import type { ProxyConfig } from '../../../proxy/config/config.ts';
import { hostAddresses } from '../../../proxy/host-addresses.ts';
import { NodeViewTracker } from '../../../endpoints/node-view-tracker.ts';
import type { Proxier } from '../../../proxy/proxier.ts';
import { ServiceCIDRs } from '../../../proxy/service-cidrs.ts';
import { nodeSettings, type ProxySettings } from '../../../proxy/settings.ts';
import { systemClock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import { Registry } from '../../base/metrics.ts';
import { type EngineName, ENGINES } from '../../net/engine.ts';
import { exec } from '../../net/exec.ts';
import { openNetlink } from '../../net/netlink/socket.ts';
import { joinHostPort } from '../../net/ip.ts';
import { applyHostTuning } from '../../node/host/host-tuning.ts';
import { openProxyPart, type ProxyPart } from '../../node/proxy/proxy-part.ts';
import { registerBuildInfo } from '../build-info.ts';
import { type CliContext, EXIT_FAILURE, EXIT_USAGE, ExitError, type RegisterCommand } from '../context.ts';
import {
  addKubeProxyFlags,
  addOwnProxyFlags,
  proxyProtocolOf,
  proxySettings,
  readProxyConfig,
  readProxySettings,
  type KubeProxyFlags,
  type OwnProxyFlags,
} from './flags.ts';
import { cpuList, manifestPath } from '../flags.ts';
import { removeRules } from './remove-rules.ts';
import { openProxySource } from './source.ts';
import { stopped } from '../stopped.ts';

interface ProxyFlags extends KubeProxyFlags, OwnProxyFlags {
  readonly from?: string[];
  readonly node?: string;
  readonly render?: boolean;
  readonly cleanup?: boolean;
  readonly initOnly?: boolean;
  readonly writeConfigTo?: string;
  readonly once?: boolean;
  readonly strict?: boolean;
  readonly engine: EngineName;
  readonly workerCpus?: readonly number[];
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
      manifestPath,
    )
    .addOption(
      new Option(
        '--engine <name>',
        'mode userspace: who relays, a thread on epoll and splice, or node:net and node:dgram',
      )
        .choices(ENGINES)
        .default('auto'),
    )
    .option(
      '--worker-cpus <list>',
      'mode userspace: processors that the threads of the native engine (one an address family) are bound to, in turn: 0,1',
      cpuList,
    )
    .option('--strict', "follow kube-proxy's oddities to the letter")
    .option('--render', 'print what would be written to the kernel, then exit')
    .option('--once', 'write the rules once, then exit and leave them serving')
    .option('--init-only', 'make the settings of the host that need privileges, then exit')
    .option('--write-config-to <file>', 'write the configuration in force as a file, then exit')
    .option('--cleanup', 'remove the rules of every mode, then exit');
  addOwnProxyFlags(command);
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
  const { config, values } = await readProxySettings(flags, context);
  if (flags.writeConfigTo !== undefined) return await writeConfig(flags.writeConfigTo, values, context);
  if (flags.cleanup) return await cleanup(context);
  if (flags.once && config.mode === 'userspace')
    throw new ExitError(EXIT_USAGE, 'mode userspace serves only while it runs; --once needs a kernel mode');
  if (flags.userspaceCapture === 'tproxy' && flags.engine === 'portable')
    throw new ExitError(EXIT_USAGE, '--userspace-capture tproxy needs --engine native or auto');
  const proxyProtocol = proxyProtocolOf(flags);
  if (flags.initOnly) return await tuneHost(config, context);
  await using stack = new AsyncDisposableStack();
  const metrics = new Registry();
  registerBuildInfo(metrics, 'proxy');
  const tracker = new Tracker({ log: context.log, metrics });
  const settings = proxySettings(config, flags.strict);
  let proxier: Proxier | undefined;
  const cidrs = new ServiceCIDRs((serviceCIDRs) => proxier?.reconfigure({ ...settings, serviceCIDRs }));
  const { from } = flags;
  const source = await openProxySource(context, {
    sinks: [tracker, cidrs],
    from,
    kubeconfig: config.kubeconfig,
    master: flags.master,
    follow: !flags.render && !flags.once,
    atOnce: flags.render === true, // somebody reads it; --once may be at work while the host boots
    deadlineMs: SYNC_DEADLINE_MS,
    metrics,
  });
  stack.use(source);
  tracker.flush();
  const known = { ...settings, serviceCIDRs: cidrs.cidrs };
  if (flags.render) return render(context, config, known, tracker);
  if (config.mode !== 'userspace') await tuneHost(config, context);
  const part = await openProxyPart(
    {
      snapshots: tracker,
      clock: systemClock,
      log: context.log,
      exec,
      openNetlink,
      metrics,
      isReady: () => true,
    },
    {
      config,
      settings: known,
      proxyProtocol,
      probeEndpoints: flags.probeEndpoints === true && !flags.once,
      capture: flags.userspaceCapture,
      engine: flags.engine,
      ...(flags.workerCpus && { workerCpus: flags.workerCpus }),
      listen: !flags.once,
    },
  );
  stack.use(part);
  ({ proxier } = part);
  if (flags.once) return;
  stack.use(reload(flags, context, proxier, () => cidrs.cidrs));
  announce(context, config, part);
  await stopped(context.stop);
}

async function tuneHost({ kernel, oomScoreAdj }: ProxyConfig, { log }: CliContext): Promise<void> {
  await applyHostTuning(log, { conntrack: kernel.conntrack, oomScoreAdj });
}

async function writeConfig(path: string, values: FieldValues, context: CliContext): Promise<void> {
  try {
    await writeFile(path, configText(values));
  } catch (error) {
    throw new ExitError(EXIT_FAILURE, `--write-config-to: ${messageOf(error)}`);
  }
  context.stdout.write(`wrote ${path}\n`);
}

/** Every mode is asked: rules may be left from another mode, or from kube-proxy. */
async function cleanup(context: CliContext): Promise<void> {
  const faults = await removeRules(context);
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

/** SIGHUP reads the configuration again; a faulty one leaves the old one in force. */
function reload(
  flags: ProxyFlags,
  context: CliContext,
  proxier: Proxier,
  serviceCIDRs: () => readonly string[],
): Disposable {
  return context.onReload(() => {
    readProxyConfig(flags, context).then(
      (config) =>
        proxier.reconfigure({ ...proxySettings(config, flags.strict), serviceCIDRs: serviceCIDRs() }),
      (error: unknown) => context.log.error('reload refused', { reason: messageOf(error) }),
    );
  });
}

function announce(context: CliContext, config: ProxyConfig, part: ProxyPart): void {
  const { stdout } = context;
  const { proxier, healthzPort, metricsPort } = part;
  stdout.write(`proxy: mode ${config.mode}, ${proxier.views.map(({ node }) => node.family).join(' and ')}\n`);
  const { healthz, metrics } = config;
  if (healthzPort !== undefined)
    stdout.write(`healthz: ${joinHostPort(healthz?.address ?? '::', healthzPort)}\n`);
  if (metricsPort !== undefined)
    stdout.write(`metrics: ${joinHostPort(metrics?.address ?? '::', metricsPort)}\n`);
  const { refused } = proxier.status.current.value;
  for (const { key, reason } of refused) stdout.write(`refused: ${key}: ${reason}\n`);
  stdout.write('ready\n');
}
