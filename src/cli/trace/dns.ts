import { explainName, type NameExplanation } from '../../../dns/cluster/explain.ts';
import { LiveView } from '../../../dns/cluster/live-view.ts';
import { zoneOf } from '../../../dns/cluster/look-up.ts';
import type { ClusterOptions } from '../../../dns/cluster/options.ts';
import { DEFAULT_COREFILE, loadCorefile } from '../../../dns/corefile/load.ts';
import { parseName } from '../../../dns/wire/name.ts';
import { parseType, type RecordType } from '../../../dns/wire/numbers.ts';
import { Tracker } from '../../../endpoints/tracker.ts';
import { systemClock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import { Registry } from '../../base/metrics.ts';
import { nodeCorefile } from '../../node/dns/node-corefile.ts';
import { asksUp, connect } from '../api-access.ts';
import { DEFAULT_CLUSTER_DOMAIN } from '../resolve/cluster-domain.ts';
import { type CliContext, EXIT_USAGE, ExitError } from '../context.ts';
import { openProxySource } from '../proxy/source.ts';
import { namespaceSearch, searchCandidates } from '../resolve/search.ts';

interface AskedName {
  /** NAME or NAME/TYPE. */
  readonly question: string;
  /** A pod, `namespace/name`: its search list counts for a name without a final dot. */
  readonly client: string | undefined;
  readonly conf: string | undefined;
  /** Zone of the cluster, where `conf` does not say it. */
  readonly clusterDomain: string;
  readonly strict: boolean;
}

interface NameStep extends NameExplanation {
  readonly name: string;
}

export interface NameTrace {
  readonly type: RecordType;
  /** One for each name tried; the last one ends the search. */
  readonly steps: readonly NameStep[];
}

const SYNC_DEADLINE_MS = 30_000;

/** `weft trace --dns NAME`: what the cluster's DNS would say to NAME, step by step, along the client's search list. */
export async function traceDns(
  context: CliContext,
  asked: AskedName & { readonly json: boolean },
  access: ObjectAccess,
): Promise<void> {
  const trace = await explainAlong(context, asked, access);
  context.stdout.write(asked.json ? `${JSON.stringify(trace, undefined, 2)}\n` : nameTraceText(trace));
}

/** Where the objects come from: manifests, else an API server. */
interface ObjectAccess {
  readonly from: readonly string[];
  readonly kubeconfig: string | undefined;
}

/** Follows the client's search list until a name exists. */
export async function explainAlong(
  context: CliContext,
  asked: AskedName,
  { from, kubeconfig }: ObjectAccess,
): Promise<NameTrace> {
  const ofUp = from.length === 0 && asksUp(context.env, kubeconfig);
  const options = clusterOptions(asked, context, builtInCorefile(asked, ofUp));
  const { name, type } = readQuestion(asked.question);
  const tracker = new Tracker({ log: context.log }, { pods: options.pods === 'verified' });
  const source = await openProxySource(context, {
    sinks: [tracker],
    from: from.length > 0 ? from : undefined,
    kubeconfig: kubeconfig ?? '',
    follow: false,
    atOnce: true,
    deadlineMs: SYNC_DEADLINE_MS,
    metrics: new Registry(),
    pods: options.pods === 'verified',
    names: true,
    connect: () => connect(context, kubeconfig),
  });
  await source[Symbol.asyncDispose]();
  tracker.flush();
  using view = new LiveView({ snapshots: tracker, clock: systemClock }, options);
  const steps: NameStep[] = [];
  for (const candidate of candidates(name, asked.client, options)) {
    const explanation = explainName(view, options, candidate, type);
    steps.push({ name: candidate, ...explanation });
    if (explanation.rcode === 'NOERROR') break;
  }
  return { type, steps };
}

/** What `weft up` answers by, or what kubeadm installs, for the zone of this cluster. */
function builtInCorefile({ clusterDomain }: AskedName, ofUp: boolean): string {
  if (ofUp) return nodeCorefile({ clusterDomain, pods: 'verified', upstreams: [] });
  return DEFAULT_COREFILE.replaceAll(DEFAULT_CLUSTER_DOMAIN, clusterDomain);
}

/** Of the Corefile's first `kubernetes` stanza. */
function clusterOptions({ conf, strict }: AskedName, { env }: CliContext, builtIn: string): ClusterOptions {
  const corefile = conf === undefined ? { text: builtIn, name: 'built-in Corefile' } : { path: conf };
  try {
    const { plans } = loadCorefile(corefile, { dnsPort: 53, strict, env });
    const needs = plans.flatMap(({ settings }) => settings.cluster ?? [])[0];
    if (needs) return needs.options;
  } catch (error) {
    throw new ExitError(EXIT_USAGE, messageOf(error));
  }
  throw new ExitError(EXIT_USAGE, `--conf ${conf}: no kubernetes stanza, so no names of the cluster`);
}

function readQuestion(text: string): { name: string; type: RecordType } {
  const [spelled = '', typeText = 'A'] = text.split('/');
  const type = parseType(typeText.toUpperCase());
  if (type === undefined) throw new ExitError(EXIT_USAGE, `--dns ${text}: ${typeText} is no record type`);
  if (parseName(spelled) === undefined) throw new ExitError(EXIT_USAGE, `--dns ${text}: not a domain name`);
  return { name: spelled, type };
}

/** What the resolver of the client's pod would ask, in order; a name in a zone of ours stands alone. */
function candidates(name: string, client: string | undefined, options: ClusterOptions): readonly string[] {
  const absolute = parseName(name)!;
  const known = name.endsWith('.') || zoneOf(absolute.toLowerCase(), options.zones) !== undefined;
  const namespace = client?.includes('/') ? client.split('/')[0]! : 'default';
  return known ? [absolute] : searchCandidates(name, namespaceSearch(namespace, options.primaryZone));
}

export function nameTraceText({ type, steps }: NameTrace): string {
  const lines = steps.flatMap(({ name, rcode, reasons }) => [
    `${name} ${type}: ${rcode}`,
    ...reasons.map(({ topic, text }) => `  ${topic.padEnd(10)}${text}`),
  ]);
  return `${lines.join('\n')}\n`;
}
