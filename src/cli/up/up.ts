import { writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { Option } from 'commander';
import { applyObjects, applyOrder, type Applied } from '../../api/client/manifest-apply.ts';
import type { ManifestError } from '../../api/client/manifest-parse.ts';
import { readManifests } from '../../api/client/manifest-read.ts';
import { resources } from '../../api/client/resources.ts';
import type { Ingress } from '../../api/kinds/ingress.ts';
import { systemClock } from '../../base/clock.ts';
import { Registry } from '../../base/metrics.ts';
import { exec } from '../../net/exec.ts';
import { openNetlink } from '../../net/netlink/socket.ts';
import { openUp, type Up, type UpOptions } from '../../node/up.ts';
import { defaultDataDir, upKubeconfig } from '../data-dir.ts';
import { type CliContext, EXIT_FAILURE, ExitError, type RegisterCommand } from '../context.ts';
import { readConfigFile } from './config-file.ts';
import { addressRange, cidrFlag, listenOption, manifestPath, repeated, seconds } from '../flags.ts';
import { readImageMap } from '../image-map-flag.ts';
import { packageVersion } from '../package-version.ts';
import { renderServices } from './service-table.ts';
import { Progress } from './progress.ts';
import { renderFaults } from '../objects/fault-table.ts';
import { FIELD_MANAGER } from '../objects/field-manager.ts';
import { openScratch } from './scratch.ts';
import { startFault } from '../start-fault.ts';
import { stopped } from '../stopped.ts';
import { suggestions } from './suggestions.ts';
import { waitUntilReady } from './wait-ready.ts';

interface UpFlags {
  readonly dataDir?: string;
  readonly apply?: readonly string[];
  readonly apiListen: UpOptions['apiListen'];
  readonly dnsListen: UpOptions['dnsListen'];
  readonly ingressHttp: UpOptions['ingressHttp'];
  readonly ingressHttps: UpOptions['ingressHttps'];
  readonly proxyMode: UpOptions['proxyMode'];
  readonly serviceCidr: string;
  readonly podCidr: string;
  readonly clusterDomain: string;
  readonly kubeconfigOut?: string;
  readonly imageMap?: readonly string[];
  readonly staticPods?: string;
  readonly nodeName?: string;
  readonly lbPool?: readonly string[];
  readonly waitSeconds: number;
  readonly strict?: boolean;
}

/** Kept out of the service range's dynamic band by being the last /24 of the default 127.96.0.0/16. */
const LOAD_BALANCER_POOL = '127.97.0.1-127.97.0.254';

export const register: RegisterCommand = (program, context) => {
  program
    .command('up')
    .description('everything on this host: API, controllers, pods, DNS, proxy, ingress')
    .option('--config <file>', 'these options from a YAML file, by their long names; what is typed wins')
    .option('--apply <path>', 'apply manifests once ready: a file, a folder, or - (repeatable)', manifestPath)
    .option('--data-dir <folder>', 'where the store, keys and pods live; memory: keeps nothing')
    .addOption(listenOption('--api-listen <address:port>', 'API server', '127.0.0.1', 6443))
    .addOption(listenOption('--dns-listen <address:port>', 'DNS over UDP and TCP', '127.0.0.1', 10053))
    .addOption(listenOption('--ingress-http <address:port>', 'ingress, plain', '127.0.0.1', 8080))
    .addOption(listenOption('--ingress-https <address:port>', 'ingress, TLS', '127.0.0.1', 8443))
    .addOption(
      new Option('--proxy-mode <mode>', 'how services are served')
        .choices(['userspace', 'iptables', 'ipvs', 'nftables'])
        .default('userspace'),
    )
    .option('--service-cidr <cidr>', 'addresses of services', cidrFlag, '127.96.0.0/16')
    .option('--pod-cidr <cidr>', 'addresses of pods', cidrFlag, '127.244.0.0/16')
    .option('--cluster-domain <name>', 'DNS zone of the cluster', 'cluster.local')
    .option('--kubeconfig-out <file>', 'write the administrator’s kubeconfig here too')
    .option('--image-map <file|image=command>', 'what runs for an image (repeatable)', repeated)
    .option('--static-pods <folder>', 'pods that run without the API')
    .option('--node-name <name>', 'name of this host as a Node (default: the host name)')
    .option('--lb-pool <range>', 'addresses for LoadBalancer services (repeatable)', addressRange)
    .option('--wait-seconds <n>', 'how long --apply waits for readiness', seconds, 120)
    .option('--strict', 'follow each original’s oddities to the letter')
    .addHelpText(
      'after',
      '\nExamples:\n  weft up --apply examples/shop\n  weft up --data-dir memory: --apply web.yaml\n' +
        '  weft up --image-map nginx="python3 -m http.server 8080" --apply nginx.yaml\n' +
        '\nStops on Ctrl-C: pods end, sockets close, the store keeps what was applied.\n',
    )
    .hook('preAction', async (command) => await readConfigFile(command))
    .action((flags: UpFlags) => runUp(flags, context));
};

async function runUp(flags: UpFlags, context: CliContext): Promise<void> {
  const started = performance.now();
  const dataDir = dataDirOf(flags, context);
  using scratch = dataDir === undefined ? openScratch() : undefined;
  const stateDir = dataDir ?? scratch?.path ?? '';
  const options = await upOptions(flags, context, dataDir, stateDir);
  const registry = new Registry();
  const onReady = (name: string, detail: string): void =>
    context.stdout.write(`${name.padEnd(12)} ${detail}\n`);
  const deps = {
    clock: systemClock,
    log: context.log,
    metrics: registry,
    exec,
    openNetlink,
    random: Math.random,
    onReady,
  };
  let up: Up;
  try {
    up = await openUp(deps, options);
  } catch (error) {
    throw startFault(error, [
      ['--api-listen', options.apiListen],
      ['--dns-listen', options.dnsListen],
      ['--ingress-http', options.ingressHttp],
      ['--ingress-https', options.ingressHttps],
    ]);
  }
  await using running = up;
  await writeKubeconfigs(flags, stateDir, running, context);
  const faults = await applyAll(flags, running, context);
  if (faults > 0)
    throw new ExitError(
      EXIT_FAILURE,
      `${faults} of the manifests failed; the others are applied and kept. Everything was stopped again: correct them and start anew.`,
    );
  if (!context.stop.aborted) {
    const seconds = ((performance.now() - started) / 1000).toFixed(2);
    context.stdout.write(`ready in ${seconds} s; Ctrl-C stops everything\nready\n`);
  }
  await stopped(context.stop);
  context.stdout.write('stopping: draining connections, ending pods\n');
}

function dataDirOf(flags: UpFlags, context: CliContext): string | undefined {
  if (flags.dataDir === 'memory:') return undefined;
  return flags.dataDir ?? defaultDataDir(context.env);
}

async function upOptions(
  flags: UpFlags,
  context: CliContext,
  dataDir: string | undefined,
  stateDir: string,
): Promise<UpOptions> {
  const { env } = context;
  const { apiListen, dnsListen, ingressHttp, ingressHttps, proxyMode, serviceCidr, podCidr, clusterDomain } =
    flags;
  return {
    dataDir,
    store: undefined,
    stateDir,
    apiListen,
    dnsListen,
    ingressHttp,
    ingressHttps,
    proxyMode,
    serviceCidr,
    podCidr,
    clusterDomain,
    nodeName: flags.nodeName ?? hostname().toLowerCase(),
    version: packageVersion(),
    strict: flags.strict === true,
    loadBalancerAddresses: flags.lbPool ?? [LOAD_BALANCER_POOL],
    kubelet: {
      hostEnv: { PATH: env['PATH'] ?? '/usr/bin:/bin', ...(env['HOME'] && { HOME: env['HOME'] }) },
      imageMap: await readImageMap(flags.imageMap ?? []),
      ...(flags.staticPods !== undefined && { staticPodDir: flags.staticPods }),
    },
  };
}

async function writeKubeconfigs(flags: UpFlags, dataDir: string, up: Up, context: CliContext): Promise<void> {
  const paths = [upKubeconfig(dataDir), ...(flags.kubeconfigOut === undefined ? [] : [flags.kubeconfigOut])];
  for (const path of paths) await writeFile(path, up.control.server.adminKubeconfig, { mode: 0o600 });
  context.stdout.write(`kubeconfig   ${paths.at(-1)}\n`);
}

/** Applies what --apply names, waits for readiness, prints the table. Returns the number of faults. */
async function applyAll(flags: UpFlags, up: Up, context: CliContext): Promise<number> {
  const paths = flags.apply ?? [];
  if (paths.length === 0) return 0;
  const { client } = up.control;
  const progress = new Progress(context.stderr);
  const read = await readManifests(paths, { stdin: context.stdin });
  const faults: ManifestError[] = [...read.errors];
  const onApplied = (each: Applied): void => {
    progress.show(`applying ${each.source.object.kind} ${each.source.object.metadata.name}`);
    if (each.error) faults.push(each.error);
  };
  await applyObjects(
    { client, clock: systemClock },
    applyOrder(read.objects),
    { fieldManager: FIELD_MANAGER, force: true, namespace: 'default', onApplied },
    context.stop,
  );
  const waiting = await waitUntilReady(up, progress, {
    deadlineMs: flags.waitSeconds * 1000,
    signal: context.stop,
  });
  progress.clear();
  const { items } = await client.list<Ingress>(resources.ingresses);
  const http = up.ingress.addresses.find((each) => each.protocol === 'http')?.port;
  const https = up.ingress.addresses.find((each) => each.protocol === 'https')?.port;
  const services = [...up.tracker.snapshot.services.values()];
  const tableContext = {
    clusterDomain: flags.clusterDomain,
    ingresses: items,
    httpPort: http,
    httpsPort: https,
  };
  context.stdout.write(`\n${renderServices(services, tableContext)}\n`);
  for (const line of waiting) context.stdout.write(`not ready: ${line}\n`);
  context.stdout.write(
    suggestions(services, items, {
      dns: flags.dnsListen,
      httpPort: http,
      httpsPort: https,
      clusterDomain: flags.clusterDomain,
      command: context.env['WEFT_COMMAND'] ?? 'weft',
    }),
  );
  if (faults.length > 0) context.stderr.write(`${renderFaults(faults)}\n`);
  return faults.length;
}
