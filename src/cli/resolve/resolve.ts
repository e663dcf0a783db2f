import { parseName } from '../../../dns/wire/name.ts';
import { parseType, type RecordType } from '../../../dns/wire/numbers.ts';
import { reverseNameOf } from '../../../dns/cluster/reverse-name.ts';
import { messageOf } from '../../base/fault.ts';
import { parseAddress } from '../../net/ip.ts';
import { clusterDomainOf, DEFAULT_CLUSTER_DOMAIN } from './cluster-domain.ts';
import { type CliContext, EXIT_FAILURE, EXIT_USAGE, ExitError, type RegisterCommand } from '../context.ts';
import { manifestPath, repeated } from '../flags.ts';
import { readBatch } from '../read-batch.ts';
import { openAsker, type Asker, type AskTransport } from './ask.ts';
import { lookUp, verdictOf, type Attempt, type Lookup } from './lookup.ts';
import { openOfflineAsker } from './offline.ts';
import { namespaceSearch, podSearch, searchCandidates, type SearchSettings } from './search.ts';
import { clusterDnsServer, podOf, serverFlag } from './server.ts';
import { renderTable } from '../text-table.ts';

interface ResolveFlags {
  readonly server?: string;
  readonly tcp?: boolean;
  readonly tls?: boolean;
  readonly https?: boolean;
  readonly ca?: string;
  readonly serverName?: string;
  readonly namespace: string;
  readonly pod?: string;
  readonly search?: readonly string[];
  readonly ndots?: string;
  /** Undefined: the cluster says. */
  readonly clusterDomain?: string;
  readonly kubeconfig?: string;
  readonly from?: readonly string[];
  readonly strict?: boolean;
  readonly trace?: boolean;
  readonly short?: boolean;
  readonly json?: boolean;
  readonly batch?: string;
}

/** With the zone of the cluster found out. */
type SettledFlags = ResolveFlags & { readonly clusterDomain: string };

const EXAMPLES = `
Examples:
  weft resolve front -n shop                     as a pod of namespace shop would find it
  weft resolve front.shop --trace                every name that was tried
  weft resolve kubernetes.default.svc.cluster.local. A
  weft resolve _http._tcp.front.shop SRV
  weft resolve 127.96.0.10                       the name behind an address
  weft resolve web --pod shop/cart-0             with that pod's dnsPolicy and dnsConfig
  weft resolve example.org MX --server 192.0.2.53:53 --tcp
  weft resolve web -n shop --from manifests/     without a running cluster
  weft resolve --batch questions.jsonl --json    one {"name":"web","type":"A","namespace":"shop"} a line

Without --server the address of kube-dns is asked of the API. The exit code is 0 when there is an answer, else 1.`;

export const register: RegisterCommand = (program, context) => {
  program
    .command('resolve')
    .description('look a name up as a pod would: search path, ndots, cluster DNS')
    .argument('[name]', 'a name, or an address for its name')
    .argument('[type]', 'record type (default: A and AAAA; PTR for an address)')
    .option('--server <address:port>', 'the DNS server to ask (default: kube-dns of the cluster)')
    .option('--tcp', 'ask over TCP')
    .option('--tls', 'ask over TLS (port 853)')
    .option('--https', 'ask over HTTPS (port 443)')
    .option('--ca <file>', 'PEM authorities to trust for --tls and --https')
    .option('--server-name <name>', "name in the server's certificate")
    .option('-n, --namespace <name>', 'namespace of the pod that asks', 'default')
    .option('--pod <namespace/name>', 'take search path and ndots from this pod')
    .option('--search <domain>', 'search this domain too, after those of the cluster (repeatable)', repeated)
    .option('--ndots <n>', 'names with fewer dots go through the search path first (default: 5)')
    .option('--cluster-domain <name>', 'DNS zone of the cluster (default: what the cluster says)')
    .option('--kubeconfig <file>', 'how to reach the API (default: $KUBECONFIG, then what `weft up` wrote)')
    .option(
      '--from <path...>',
      'answer from manifests (file, folder or -) instead of a running server',
      manifestPath,
    )
    .option('--strict', "with --from: CoreDNS's oddities to the letter")
    .option('--trace', 'show every name that was tried')
    .option('--short', 'print the data of the records only')
    .option('--json', 'print the answer as JSON')
    .option('--batch <file>', 'one JSON question a line, one JSON answer a line; - is standard input')
    .addHelpText('after', EXAMPLES)
    .action(
      async (name: string | undefined, type: string | undefined, flags: ResolveFlags) =>
        await run(context, name, type, flags),
    );
};

async function run(
  context: CliContext,
  name: string | undefined,
  type: string | undefined,
  told: ResolveFlags,
): Promise<void> {
  if ((name === undefined) === (told.batch === undefined))
    throw new ExitError(EXIT_USAGE, 'give either a name or --batch FILE');
  if (name !== undefined) mustBeName(name);
  const flags = { ...told, clusterDomain: await domainOf(context, told) };
  const settings = await searchSettings(context, flags);
  const types = name === undefined ? [] : typesOf(name, type);
  await using asker = await openAskerFor(context, flags);
  if (flags.batch !== undefined) return await runBatch(context, asker, settings, flags);
  const lookup = await search(asker, name!, types, settings);
  context.stdout.write(flags.json ? `${JSON.stringify(shown(lookup), undefined, 2)}\n` : text(lookup, flags));
  if (lookup.found === undefined) throw new ExitError(EXIT_FAILURE, notFound(lookup, asker));
}

/** A server that was named, and manifests, say nothing of their zone. */
async function domainOf(context: CliContext, flags: ResolveFlags): Promise<string> {
  if (flags.clusterDomain !== undefined) return flags.clusterDomain;
  if (flags.server !== undefined || flags.from !== undefined) return DEFAULT_CLUSTER_DOMAIN;
  return await clusterDomainOf(context, flags.kubeconfig);
}

async function openAskerFor(context: CliContext, flags: SettledFlags): Promise<Asker> {
  if (flags.from) return await openOfflineAsker(context, { ...flags, from: flags.from });
  const transport = transportOf(flags);
  const at = flags.server
    ? serverFlag(flags.server, transport)
    : await clusterDnsServer(context, flags.kubeconfig, transport);
  const { ca: caFile, serverName } = flags;
  return openAsker({ ...at, transport, caFile, serverName }, context.stop);
}

function transportOf(flags: ResolveFlags): AskTransport {
  const chosen = (['tcp', 'tls', 'https'] as const).filter((each) => flags[each] === true);
  if (chosen.length > 1) throw new ExitError(EXIT_USAGE, 'give only one of --tcp, --tls and --https');
  return chosen[0] ?? 'udp';
}

async function searchSettings(context: CliContext, flags: SettledFlags): Promise<SearchSettings> {
  const base =
    flags.pod === undefined
      ? namespaceSearch(flags.namespace, flags.clusterDomain)
      : podSearch(await podOf(context, flags.kubeconfig, flags.pod, flags.from), flags.clusterDomain);
  return { search: [...base.search, ...(flags.search ?? [])], ndots: ndotsOf(flags) ?? base.ndots };
}

function ndotsOf({ ndots }: ResolveFlags): number | undefined {
  if (ndots === undefined || /^\d{1,2}$/.test(ndots)) return ndots === undefined ? undefined : Number(ndots);
  throw new ExitError(EXIT_USAGE, `--ndots ${ndots}: use a number`);
}

function typesOf(name: string, type: string | undefined): readonly RecordType[] {
  if (type === undefined) return parseAddress(name) ? ['PTR'] : ['A', 'AAAA'];
  const parsed = parseType(type);
  if (parsed && parsed !== 'AXFR' && parsed !== 'IXFR') return [parsed];
  throw new ExitError(EXIT_USAGE, `"${type}" is not a record type that can be asked for, such as A or SRV`);
}

async function search(
  asker: Asker,
  name: string,
  types: readonly RecordType[],
  settings: SearchSettings,
): Promise<Lookup> {
  const address = parseAddress(name);
  if (address) return await lookUp(asker, name, [reverseNameOf(address)], types);
  mustBeName(name);
  return await lookUp(asker, name, searchCandidates(name, settings), types);
}

function mustBeName(name: string): void {
  if (parseName(name) === undefined) throw new ExitError(EXIT_USAGE, `"${name}" is not a domain name`);
}

async function runBatch(
  context: CliContext,
  asker: Asker,
  settings: SearchSettings,
  flags: SettledFlags,
): Promise<void> {
  for (const line of (await readBatch(flags.batch!, context)).split('\n')) {
    if (line.trim() === '') continue;
    context.stdout.write(`${JSON.stringify(await batchAnswer(asker, settings, flags, line))}\n`);
  }
}

/** A question that cannot be read gets an answer that says so; the next ones are answered all the same. */
async function batchAnswer(
  asker: Asker,
  settings: SearchSettings,
  flags: SettledFlags,
  line: string,
): Promise<unknown> {
  try {
    const { name, type, namespace } = JSON.parse(line) as Readonly<Record<string, unknown>>;
    if (typeof name !== 'string') return { error: 'ask {"name":"web","type":"A","namespace":"shop"}' };
    const own =
      typeof namespace === 'string'
        ? { ...settings, search: namespaceSearch(namespace, flags.clusterDomain).search }
        : settings;
    return shown(await search(asker, name, typesOf(name, typeof type === 'string' ? type : undefined), own));
  } catch (error) {
    return { error: messageOf(error) };
  }
}

function shown(lookup: Lookup): unknown {
  const { asked: name, types, found, attempts } = lookup;
  const answer = attempts.flatMap((attempt) => attempt.answer);
  const rcode = found === undefined ? verdictOf(lookup) : 'NOERROR';
  return {
    name,
    types,
    rcode,
    found: found ?? null,
    answer,
    attempts: attempts.map(({ tookMs, ...rest }) => ({ ...rest, tookMs: Number(tookMs.toFixed(2)) })),
  };
}

function text(lookup: Lookup, flags: ResolveFlags): string {
  const lines = [...new Set(lookup.attempts.flatMap(({ answer }) => answer))];
  const records = lines.map((line) => (flags.short ? line.split(' ').slice(4).join(' ') : line));
  const trace = flags.trace ? `${renderTable(['TRIED', 'TYPE', 'RESULT', 'MS', 'WHY'], rows(lookup))}\n` : '';
  return trace + records.map((record) => `${record}\n`).join('');
}

function rows({ attempts, found }: Lookup): string[][] {
  return attempts.map((attempt) => [
    attempt.name,
    attempt.type,
    resultOf(attempt),
    attempt.tookMs.toFixed(1),
    attempt.reason ?? (attempt.name === found && attempt.answer.length > 0 ? 'ends the search' : ''),
  ]);
}

function resultOf({ rcode, answer }: Attempt): string {
  if (rcode !== 'NOERROR') return rcode;
  return answer.length === 0 ? 'NODATA' : `${answer.length} record${answer.length > 1 ? 's' : ''}`;
}

function notFound(lookup: Lookup, asker: Asker): string {
  const tried = new Set(lookup.attempts.map(({ name }) => name)).size;
  const verdict = verdictOf(lookup);
  const rcode = verdict === 'NODATA' ? 'NOERROR' : verdict;
  const reason = lookup.attempts.find((each) => each.reason !== undefined && each.rcode === rcode)?.reason;
  const why = reason === undefined ? '' : ` (${reason})`;
  const what = lookup.types.join(' or ');
  const hint = tried > 1 ? '; --trace shows each' : '';
  return `${lookup.asked}: ${verdict}${why}: no ${what} record under ${tried} name${tried > 1 ? 's' : ''}, asked of ${asker.label}${hint}`;
}
