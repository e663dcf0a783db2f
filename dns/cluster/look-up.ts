import type { ExtendedError, Outcome, Query } from '../query.ts';
import { replyTo, type Message, type Question } from '../wire/message.ts';
import { isWithin, splitLabels, zoneAsAsked } from '../wire/name.ts';
import { EDE } from '../wire/numbers.ts';
import { chaseAlias } from './alias.ts';
import { answerFrom, NODATA, nodeAt, NXDOMAIN, type ClusterAnswer, type ClusterContext } from './answer.ts';
import { soaRecord } from './apex.ts';
import type { ClusterNode } from './node.ts';
import { nodeForZone } from './zone-order.ts';

/** What the cluster says to name and type in zone. Never falls through; never looks at the query's flags. */
export function lookUp(
  context: ClusterContext,
  query: Query,
  zone: string,
  question: Question,
): ClusterAnswer | Promise<ClusterAnswer> {
  const node = nodeAt(context, zone, question.name);
  if (node.kind === 'alias') return chaseAlias(context, query, zone, question, node.target);
  const { clientZones } = context;
  if (!clientZones) return answerAt(context, node, zone, question);
  const near = nodeForZone(node, clientZones.zoneOf(query.client.address), clientZones.random);
  const answer = answerAt(context, near.node, zone, question);
  return near.ordered ? { ...answer, ordered: true } : answer;
}

/** The answer of a node that is not an alias. */
export function answerAt(
  context: ClusterContext,
  node: ClusterNode,
  zone: string,
  question: Question,
): ClusterAnswer {
  const wart = context.options.strict ? strictVerdict(node, question, zone) : undefined;
  return wart ?? answerFrom(context, node, question, zoneAsAsked(question.name, zone));
}

/** Where CoreDNS says something else (dns-plugins.md, kubernetes, strict); undefined = nothing special. */
function strictVerdict(node: ClusterNode, { name, type }: Question, zone: string): ClusterAnswer | undefined {
  if (type === 'SOA' && node.kind !== 'apex') return NODATA;
  if (type === 'TXT' && (node.kind === 'apex' || node.kind === 'empty')) return NXDOMAIN;
  if (node.kind === 'version' && type !== 'TXT') return NXDOMAIN;
  if (node.kind === 'pointers' && type !== 'PTR') return NXDOMAIN;
  const spelledOtherwise = !name.endsWith(zone);
  if (spelledOtherwise && node.kind === 'name-server') return NXDOMAIN;
  if (spelledOtherwise && node.kind === 'apex' && type === 'NS') return NODATA;
  return undefined;
}

/** The longest of zones that contains name; undefined when none does. */
export function zoneOf(name: string, zones: readonly string[]): string | undefined {
  let best: string | undefined;
  for (const zone of zones) {
    if (isWithin(name, zone) && (best === undefined || splitLabels(zone).length > splitLabels(best).length)) {
      best = zone;
    }
  }
  return best;
}

/** Makes the reply: AA, and the SOA with every negative answer. */
export function replyFrom(
  context: ClusterContext,
  request: Message,
  zone: string,
  answer: ClusterAnswer,
): Outcome {
  const asked = zoneAsAsked(request.questions[0]!.name, zone);
  const soa = answer.negative ? [soaRecord(context.view, context.options, asked)] : [];
  const { rcode, answers, additionals, authorities = soa, truncated = false } = answer;
  const notReady: ExtendedError = { code: EDE.NOT_READY, text: 'cluster data is not loaded yet' };
  const message = replyTo(request, {
    rcode,
    answers,
    additionals,
    authorities,
    truncated,
    authoritative: true,
  });
  if (rcode === 'SERVFAIL' && !context.view.synced) return { kind: 'reply', message, extended: notReady };
  return answer.ordered ? { kind: 'reply', message, ordered: true } : { kind: 'reply', message };
}

/** SERVFAIL for names that are not known while the first lists are under way: denying them would be a guess. */
export function unlessLoading(context: ClusterContext, answer: ClusterAnswer): ClusterAnswer {
  return answer.rcode === 'NXDOMAIN' && !context.view.synced ? { ...answer, rcode: 'SERVFAIL' } : answer;
}
