import { existsSync } from 'node:fs';
import { Option } from 'commander';
import {
  CorefileFault,
  DEFAULT_COREFILE,
  loadCorefile,
  type CorefileSource,
} from '../../../dns/corefile/load.ts';
import { pillarValues } from '../../../dns/corefile/pillars.ts';
import { DnsServer } from '../../../dns/server/dns-server.ts';
import { dnsEngines } from '../../../dns/server/engine.ts';
import type { NativeDatagramOptions } from '../../../dns/server/native/native-datagram.ts';
import { Tracker } from '../../../endpoints/tracker.ts';
import { sleep, systemClock } from '../../base/clock.ts';
import { hasCode, messageOf } from '../../base/fault.ts';
import { Registry } from '../../base/metrics.ts';
import { type EngineName, ENGINES } from '../../net/engine.ts';
import { exec } from '../../net/exec.ts';
import { joinHostPort } from '../../net/ip.ts';
import { openNodeLocal, type NodeLocal } from '../../node/dns/node-local-dns.ts';
import { registerBuildInfo } from '../build-info.ts';
import { type CliContext, EXIT_FAILURE, EXIT_USAGE, ExitError, type RegisterCommand } from '../context.ts';
import { cpuList, manifestPath } from '../flags.ts';
import { startFault } from '../start-fault.ts';
import { stopped } from '../stopped.ts';

/** Within this a server with a table of the last run listens; one whose table is bad waits for the source. */
const HEAD_START_MS = 1000;
/** Questions that came meanwhile are answered before loading the client of the API holds up the thread. */
const FIRST_ANSWERS_MS = 20;

interface DnsFlags {
  readonly conf?: string;
  readonly kubeconfig?: string;
  readonly from?: readonly string[];
  readonly 'dns.port': string;
  readonly strict?: boolean;
  readonly engine: EngineName;
  readonly receivers: string;
  readonly receiverCpus?: readonly number[];
  readonly nodeLocal?: readonly string[];
  readonly nodeLocalInterface: string;
  readonly nodeLocalRules: boolean;
}

const EXAMPLES = `
Examples:
  weft dns --kubeconfig ~/.kube/config --dns.port 1053
  weft dns --conf /etc/coredns/Corefile
  weft dns --from manifests/ --conf Corefile --dns.port 1053
  weft dns --kubeconfig kubelet.conf --node-local 169.254.20.10 10.96.0.10
  dig @127.0.0.1 -p 1053 kubernetes.default.svc.cluster.local

Without --conf the Corefile that kubeadm installs is used. SIGHUP reads the Corefile again.`;

export const register: RegisterCommand = (program, context) => {
  program
    .command('dns')
    .description('cluster DNS in the place of CoreDNS, with the same Corefile')
    .option('--conf <file>', 'Corefile')
    .option('--kubeconfig <file>', 'the API server to follow; default: what the Corefile or the pod says')
    .option(
      '--from <path...>',
      'manifests (file, folder or -) instead of an API server; changes are followed',
      manifestPath,
    )
    .addOption(new Option('--dns.port <port>', 'port of server blocks that name none').default('53'))
    .option('--strict', "CoreDNS's oddities to the letter")
    .addOption(
      new Option(
        '--engine <name>',
        'how UDP and TCP are spoken: threads on system calls, or node:dgram and node:net',
      )
        .choices(ENGINES)
        .default('auto'),
    )
    .addOption(new Option('--receivers <count>', 'threads of the native engine').default('1'))
    .option(
      '--receiver-cpus <list>',
      'processors that its threads are bound to, in turn, the one of TCP last: 0,1',
      cpuList,
    )
    .option(
      '--node-local <address...>',
      'node-local mode: give a dummy interface these addresses (a link-local one, the cluster DNS address), listen there, and keep their DNS untracked',
    )
    .option('--node-local-interface <name>', 'name of that interface', 'nodelocaldns')
    .option('--no-node-local-rules', 'node-local mode without iptables rules')
    .addHelpText('after', EXAMPLES)
    .action(async (flags: DnsFlags) => await run(context, flags));
};

async function run(context: CliContext, flags: DnsFlags): Promise<void> {
  const corefile: CorefileSource =
    flags.conf === undefined ? { text: DEFAULT_COREFILE, name: 'built-in Corefile' } : { path: flags.conf };
  const options = {
    corefile,
    dnsPort: portOf(flags['dns.port']),
    strict: flags.strict ?? false,
    env: pillarValues(context.env, flags.nodeLocal ?? []),
    ...(flags.nodeLocal && { defaultBind: flags.nodeLocal }),
  };
  const needs = readNeeds(corefile, options);
  const metrics = new Registry();
  registerBuildInfo(metrics, 'dns');
  await using stack = new AsyncDisposableStack();
  const pods = needs.some((need) => need.pods);
  const tracker = new Tracker({ log: context.log, metrics, clock: systemClock }, { pods });
  const { from, kubeconfig } = flags;
  const sourceOptions = { sink: tracker, from, kubeconfig, needs, follow: true, metrics };
  const openSource = async (): Promise<void> => {
    const { openDnsSource } = await import('./source.ts');
    stack.use(await openDnsSource(context, sourceOptions));
  };
  const early = needs.some(
    ({ options: { snapshotFile } }) => snapshotFile !== undefined && existsSync(snapshotFile),
  );
  if (!early) await openSource();
  const { log } = context;
  const engines = dnsEngines(flags.engine, { clock: systemClock, log, metrics }, receiversOf(flags));
  const deps = { snapshots: tracker, clock: systemClock, log, metrics, random: Math.random, ...engines };
  const ground = flags.nodeLocal && stack.use(await openGround(context, flags, flags.nodeLocal));
  const opening = openServer(flags, deps, options).then((server) => stack.use(server));
  opening.catch(() => {}); // looked at below
  // The client of the API is most of the start: with a table of the last run nobody need wait for it.
  const first = early ? await Promise.race([opening, sleep(systemClock, HEAD_START_MS)]) : await opening;
  if (first) announce(context, first);
  if (first && early) await sleep(systemClock, FIRST_ANSWERS_MS);
  if (early) await openSource();
  const server = await opening;
  if (!first) announce(context, server);
  if (ground) stack.defer(() => ground.withdraw());
  stack.use(context.onReload(() => void server.reload()));
  await stopped(AbortSignal.any([context.stop, server.failed]));
  if (server.failed.aborted) throw new ExitError(EXIT_FAILURE, messageOf(server.failed.reason));
}

function announce({ stdout }: CliContext, { addresses, plugins }: DnsServer): void {
  for (const { transport, address, port } of addresses) {
    stdout.write(`dns ${transport} ${joinHostPort(address, port)}\n`);
  }
  // blocks share their pages
  const pages = plugins.flatMap(({ name, page }) => (page === undefined ? [] : `dns ${name} ${page}\n`));
  stdout.write(`${[...new Set(pages)].join('')}ready\n`);
}

async function openGround(
  { log }: CliContext,
  flags: DnsFlags,
  addresses: readonly string[],
): Promise<NodeLocal> {
  try {
    return await openNodeLocal(
      { clock: systemClock, log, exec },
      {
        addresses,
        port: portOf(flags['dns.port']),
        interfaceName: flags.nodeLocalInterface,
        rules: flags.nodeLocalRules,
      },
    );
  } catch (error) {
    throw new ExitError(EXIT_FAILURE, messageOf(error));
  }
}

function receiversOf({ receivers, receiverCpus }: DnsFlags): NativeDatagramOptions {
  if (!/^\d{1,2}$/.test(receivers) || Number(receivers) === 0)
    throw new ExitError(EXIT_USAGE, `--receivers ${receivers}: use a number from 1 to 99`);
  return { receivers: Number(receivers), ...(receiverCpus && { cpus: receiverCpus }) };
}

function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (port <= 65_535) return port;
  throw new ExitError(EXIT_USAGE, `--dns.port ${text}: use a port from 0 to 65535`);
}

function readNeeds(
  corefile: CorefileSource,
  options: Parameters<typeof loadCorefile>[1],
): NonNullable<ReturnType<typeof loadCorefile>['plans'][number]['settings']['cluster']>[] {
  try {
    const { plans } = loadCorefile(corefile, options);
    return plans.flatMap(({ settings }) => settings.cluster ?? []);
  } catch (error) {
    throw new ExitError(EXIT_USAGE, messageOf(error));
  }
}

async function openServer(flags: DnsFlags, ...args: Parameters<typeof DnsServer.open>): Promise<DnsServer> {
  try {
    return await DnsServer.open(...args);
  } catch (error) {
    const usage =
      error instanceof CorefileFault || hasCode(error, 'BIND_UNKNOWN') || hasCode(error, 'TLS_FILES');
    if (usage) throw new ExitError(EXIT_USAGE, messageOf(error));
    throw startFault(error, [], otherPort(flags, messageOf(error)));
  }
}

/** Where the port of a fault was chosen: blocks without a port have --dns.port, the Corefile says all others. */
function otherPort(flags: DnsFlags, message: string): string {
  const named = 'choose another one in the Corefile';
  if (message.includes(`:${flags['dns.port']}/`))
    return flags.conf === undefined
      ? 'choose another one with --dns.port'
      : `${named}, or with --dns.port for blocks that name none`;
  return flags.conf === undefined
    ? 'give a Corefile of your own with --conf, where health, ready or prometheus have another one'
    : named;
}
