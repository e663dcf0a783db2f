import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { NodeViewTracker } from '../../../endpoints/node-view-tracker.ts';
import { Tracker } from '../../../endpoints/tracker.ts';
import type { DetectLocal } from '../../../endpoints/node-view.ts';
import type { NodeEntry, Snapshot } from '../../../endpoints/snapshot.ts';
import type { ProxyMode } from '../../../proxy/backend.ts';
import { modeEvaluator } from '../../../proxy/backends.ts';
import type { ProxyConfig } from '../../../proxy/config/config.ts';
import { hostAddresses } from '../../../proxy/host-addresses.ts';
import { ServiceCIDRs } from '../../../proxy/service-cidrs.ts';
import { nodeSettings } from '../../../proxy/settings.ts';
import {
  parsePacket,
  traceProxy,
  type ProxyTrace,
  type ProxyTraceDeps,
} from '../../../proxy/packet/trace.ts';
import { messageOf } from '../../base/fault.ts';
import { Registry } from '../../base/metrics.ts';
import { familyOf } from '../../net/ip.ts';
import { asksUp, connect } from '../api-access.ts';
import { clusterDomainOf, DEFAULT_CLUSTER_DOMAIN } from '../resolve/cluster-domain.ts';
import { type CliContext, EXIT_USAGE, ExitError, type RegisterCommand } from '../context.ts';
import { addKubeProxyFlags, readProxyConfig, type KubeProxyFlags } from '../proxy/flags.ts';
import { openProxySource } from '../proxy/source.ts';
import { readBatch } from '../read-batch.ts';
import { renderTable } from '../text-table.ts';
import { explainAlong, nameTraceText, traceDns } from './dns.ts';
import { nameTarget, type NameTarget, packetTarget } from './name.ts';
import { isWebUrl, traceUrl } from './url.ts';

interface TraceFlags extends KubeProxyFlags {
  readonly from?: string[];
  readonly to?: string;
  readonly dns?: string;
  readonly conf?: string;
  readonly clusterDomain?: string;
  readonly batch?: string;
  readonly json?: boolean;
  readonly node?: string;
  readonly mode?: ProxyMode;
  readonly nodeIp?: string[];
  readonly strict?: boolean;
}

const SYNC_DEADLINE_MS = 30_000;

export const register: RegisterCommand = (program, context) => {
  const command = program
    .command('trace')
    .description('what DNS, proxy and ingress would do, step by step, and why')
    .option(
      '--from <who|path...>',
      'the client: IP, IP%interface, node/NAME or a pod (namespace/name); and manifests to read instead of an API server',
    )
    .option('--to <target>', 'IP:port/proto, NAME:port/proto, or an http or https URL')
    .option('--dns <name[/type]>', 'a name instead of a target: what the cluster DNS says to it, and why')
    .option(
      '--conf <file>',
      'the Corefile that names are looked up by (default: the one of `weft up`, else the one kubeadm installs)',
    )
    .option('--cluster-domain <name>', 'DNS zone of the cluster (default: what the cluster says)')
    .option('--batch <file>', 'one JSON question a line, one JSON answer a line; - is standard input')
    .option('--json', 'print the answer as JSON')
    .option('--node <name>', 'whose proxy (default: this host)')
    .option(
      '--node-ip <ip...>',
      "all addresses of that node (default: those of its Node object, or this host's)",
    )
    .option('--mode <mode>', 'iptables, ipvs, nftables or userspace')
    .option('--strict', "follow the originals' oddities to the letter");
  addKubeProxyFlags(command, true);
  command
    .addHelpText(
      'after',
      "\nkube-proxy's flags are understood too, for example --cluster-cidr and --nodeport-addresses.\n" +
        '\nExamples:\n  weft trace --from shop/front --to api.shop:8080\n' +
        '  weft trace --from 10.244.1.7 --to 10.96.0.10:53/udp\n' +
        '  weft trace --from 198.51.100.7 manifests/ --node alpha --mode iptables --to 172.20.0.11:30080/tcp\n' +
        '  weft trace --from manifests/ --node alpha --mode nftables --batch questions.jsonl\n' +
        '  weft trace --from shop/web-0 manifests/ --dns redis.cache\n' +
        '  weft trace --to https://shop.example/cart --from manifests/\n',
    )
    .action((flags: TraceFlags) => run(flags, context));
};

async function run(flags: TraceFlags, context: CliContext): Promise<void> {
  if ([flags.to, flags.batch, flags.dns].filter((flag) => flag !== undefined).length !== 1)
    throw new ExitError(EXIT_USAGE, 'give one of --to, --dns and --batch');
  const { paths, who } = splitFrom(flags.from ?? []);
  const clusterDomain = await domainOf(flags, context, paths);
  if (flags.dns !== undefined) {
    const asked = { question: flags.dns, client: who, conf: flags.conf, clusterDomain };
    const how = { json: flags.json === true, strict: flags.strict === true };
    return await traceDns(
      context,
      { ...asked, ...how },
      { from: paths, kubeconfig: stringFlag(flags['kubeconfig']) },
    );
  }
  const named = nameTarget(flags.to ?? '', clusterDomain);
  if (named) return await traceNamed({ ...flags, clusterDomain }, context, named);
  if (flags.to !== undefined && isWebUrl(flags.to)) {
    const asked = { url: flags.to, client: who, json: flags.json === true, strict: flags.strict === true };
    return await traceUrl(context, asked, { from: paths, kubeconfig: stringFlag(flags['kubeconfig']) });
  }
  const deps = await proxyDeps(flags, context, paths);
  if (flags.batch !== undefined) {
    for (const line of (await readBatch(flags.batch, context)).split('\n'))
      if (line.trim() !== '') context.stdout.write(`${JSON.stringify(answer(deps, line))}\n`);
    return;
  }
  const trace = tracePacket(deps, who, flags.to?.includes('/') ? flags.to : `${flags.to}/tcp`);
  context.stdout.write(flags.json ? `${JSON.stringify(trace, undefined, 2)}\n` : traceText(trace));
}

/** The zone of the cluster, which nobody is asked for where addresses alone are traced. */
async function domainOf(flags: TraceFlags, context: CliContext, paths: readonly string[]): Promise<string> {
  if (flags.clusterDomain !== undefined) return flags.clusterDomain;
  const target = flags.to ?? '';
  const names = flags.dns !== undefined || isWebUrl(target) || nameTarget(target, '') !== undefined;
  if (!names || paths.length > 0) return DEFAULT_CLUSTER_DOMAIN;
  return await clusterDomainOf(context, stringFlag(flags['kubeconfig']));
}

/** DNS first, then the way of a packet to the first address it gave. */
async function traceNamed(
  flags: TraceFlags & { readonly clusterDomain: string },
  context: CliContext,
  target: NameTarget,
): Promise<void> {
  const { paths, who } = splitFrom(flags.from ?? []);
  const access = { from: paths, kubeconfig: stringFlag(flags['kubeconfig']) };
  const { conf, clusterDomain, strict = false } = flags;
  const how = { client: who, conf, clusterDomain, strict };
  const dns = await explainAlong(context, { question: target.name, ...how }, access);
  const address = dns.steps.at(-1)?.addresses[0];
  const proxy =
    address === undefined
      ? undefined
      : tracePacket(await proxyDeps(flags, context, paths), who, packetTarget(address, target));
  const text = flags.json
    ? `${JSON.stringify({ dns, proxy }, undefined, 2)}\n`
    : nameTraceText(dns) + (proxy ? `\n${traceText(proxy)}` : '');
  context.stdout.write(text);
}

async function proxyDeps(
  flags: TraceFlags,
  context: CliContext,
  paths: readonly string[],
): Promise<ProxyTraceDeps> {
  const told = await readProxyConfig(withShortFlags(flags), context);
  const config = { ...told, mode: paths.length > 0 ? told.mode : runningMode(flags, told, context) };
  return await load(flags, context, config, paths);
}

function tracePacket(deps: ProxyTraceDeps, who: string | undefined, to: string): ProxyTrace {
  const from = sourceOf(deps, who);
  const packet = parsePacket(from, to);
  if (packet) return traceProxy(deps, packet);
  const [address] = to.split(/:\d+(?:\/|$)/);
  const fault =
    familyOf(address?.replace(/^\[(.*)\]$/, '$1') ?? '') === undefined
      ? `--to ${to}: give NAME:port, IP:port/proto or a URL`
      : `--from ${from} --to ${to}: give IP and IP:port/proto of one family`;
  throw new ExitError(EXIT_USAGE, fault);
}

function stringFlag(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** What is on disk is manifests; the rest says who asks. */
function splitFrom(values: readonly string[]): { paths: readonly string[]; who: string | undefined } {
  const paths = values.filter((value) => value === '-' || existsSync(value));
  const others = values.filter((value) => !paths.includes(value));
  if (others.length > 1) throw new ExitError(EXIT_USAGE, `--from: no such file: ${others.join(', ')}`);
  return { paths, who: others[0] };
}

/** Of `weft up`, when that is whom we ask and nothing else was said. */
function runningMode(flags: TraceFlags, { mode, kubeconfig }: ProxyConfig, { env }: CliContext): ProxyMode {
  const said = flags.mode ?? flags['proxyMode'] ?? flags.config;
  return said === undefined && asksUp(env, kubeconfig || undefined) ? 'userspace' : mode;
}

/** --node and --mode are the short names of kube-proxy's flags. */
function withShortFlags(flags: TraceFlags): KubeProxyFlags {
  return {
    ...flags,
    ...(flags.node !== undefined && { hostnameOverride: flags.node }),
    ...(flags.mode !== undefined && { proxyMode: flags.mode }),
  };
}

async function load(
  flags: TraceFlags,
  context: CliContext,
  config: ProxyConfig,
  paths: readonly string[],
): Promise<ProxyTraceDeps> {
  const tracker = new Tracker({ log: context.log }, { pods: true });
  const cidrs = new ServiceCIDRs(() => {});
  const source = await openProxySource(context, {
    sinks: [tracker, cidrs],
    from: paths.length > 0 ? paths : undefined,
    kubeconfig: config.kubeconfig,
    follow: false,
    atOnce: true,
    deadlineMs: SYNC_DEADLINE_MS,
    metrics: new Registry(),
    pods: true,
    connect: () => connect(context, config.kubeconfig || undefined),
  });
  await source[Symbol.asyncDispose]();
  tracker.flush();
  const { snapshot } = tracker;
  const nodeName = (config.hostnameOverride || hostname()).trim().toLowerCase();
  const node = snapshot.nodes.get(nodeName);
  if (flags.node !== undefined && !node && snapshot.nodes.size > 0)
    throw new ExitError(EXIT_USAGE, `--node ${nodeName}: there are ${[...snapshot.nodes.keys()].join(', ')}`);
  const settings = {
    ...config,
    nodeName,
    families: ['IPv4', 'IPv6'] as const,
    detectLocal: detectLocal(config, node),
    serviceCIDRs: cidrs.cidrs,
    strict: flags.strict ?? false,
  };
  const addresses = flags.nodeIp ?? (paths.length > 0 && node ? node.addresses : hostAddresses());
  const views = settings.families.map((family) => {
    const views = new NodeViewTracker(tracker, nodeSettings(settings, family, addresses, node));
    return views.refresh().view;
  });
  return { snapshot, views, mode: config.mode, evaluator: modeEvaluator(config.mode, views) };
}

/** Without a word on local pods, the node's own pod CIDRs tell them apart. */
function detectLocal({ detectLocal: told }: ProxyConfig, node: NodeEntry | undefined): DetectLocal {
  const fallback = told.mode === 'None' && node !== undefined && node.podCIDRs.length > 0;
  return fallback ? { mode: 'NodeCIDR', cidrs: node.podCIDRs } : told;
}

/** A question that cannot be read gets an answer that says so; the next ones are answered all the same. */
function answer(deps: ProxyTraceDeps, line: string): unknown {
  try {
    const { from, to } = JSON.parse(line) as { from?: unknown; to?: unknown };
    const packet = typeof from === 'string' && typeof to === 'string' ? parsePacket(from, to) : undefined;
    if (!packet) return { error: 'ask {"from":"IP[%iface]","to":"IP:port/proto"}' };
    return deps.evaluator.evaluate(packet);
  } catch (error) {
    return { error: messageOf(error) };
  }
}

function sourceOf({ snapshot, views }: ProxyTraceDeps, who: string | undefined): string {
  if (who === undefined) return views[0]?.node.primaryAddresses[0] ?? '127.0.0.1';
  if (familyOf(who.split('%')[0] ?? '')) return who;
  if (who.startsWith('node/')) {
    const address = snapshot.nodes.get(who.slice('node/'.length))?.addresses[0];
    if (address !== undefined) return address;
  }
  const address = podAddress(snapshot, who);
  if (address !== undefined) return address;
  throw new ExitError(
    EXIT_USAGE,
    `--from ${who}: no such file, pod or node; give an IP, node/NAME or namespace/pod`,
  );
}

/** By name, else the first pod of a workload of that name. */
function podAddress(snapshot: Snapshot, key: string): string | undefined {
  const pods = [...snapshot.podsByAddress].map(([address, pod]) => ({
    address,
    key: `${pod.namespace}/${pod.name}`,
  }));
  const found =
    pods.find((pod) => pod.key === key) ??
    pods.filter((pod) => pod.key.startsWith(`${key}-`)).sort((a, b) => (a.key < b.key ? -1 : 1))[0];
  return found?.address;
}

function traceText({ steps, endpoints }: ProxyTrace): string {
  const width = Math.max(...steps.map(({ topic }) => topic.length)) + 2;
  const lines = steps.map(({ topic, text }) => `${topic.padEnd(width)}${text}\n`);
  const last = lines.pop() ?? '';
  const rows = endpoints.map(({ endpoint, node, used, reason }) => [
    endpoint,
    node ?? '-',
    used ? 'in' : 'out',
    reason,
  ]);
  const table = rows.length > 0 ? renderTable(['ENDPOINT', 'NODE', 'IN', 'WHY'], rows) : '';
  return lines.join('') + table + last;
}
