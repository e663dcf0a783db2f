import type { Query } from '../query.ts';
import { record, type Question, type ResourceRecord } from '../wire/message.ts';
import { foldName, isWithin, zoneAsAsked } from '../wire/name.ts';
import { answerFrom, NODATA, nodeAt, positive, type ClusterAnswer, type ClusterContext } from './answer.ts';
import { ALIAS_HOPS_MAX } from './options.ts';

/** Types that CoreDNS follows an ExternalName for. */
const STRICT_TYPES: readonly string[] = ['A', 'AAAA', 'CNAME'];

/** Where an alias leads: to an answer, or after this chain of CNAMEs to a name that is not ours. */
type AliasEnd =
  | { readonly answer: ClusterAnswer }
  | { readonly chain: readonly ResourceRecord[]; readonly outside: string };

/**
 * Answers for a name that is an ExternalName service: the CNAME, then what its target says. Targets inside the zone
 * come from cluster data, others from the whole server. A loop is cut: no answer, as CoreDNS has it.
 */
export async function chaseAlias(
  context: ClusterContext,
  query: Query,
  zone: string,
  question: Question,
  firstTarget: string,
): Promise<ClusterAnswer> {
  const end = followAlias(context, zone, question, firstTarget);
  if ('answer' in end) return end.answer;
  return await fromOutside(context, query, { ...question, name: end.outside }, end.chain);
}

/** As far as the data of the cluster goes. */
export function followAlias(
  context: ClusterContext,
  zone: string,
  question: Question,
  firstTarget: string,
): AliasEnd {
  const { strict, ttlSeconds } = context.options;
  const { type } = question;
  if (strict && !STRICT_TYPES.includes(type)) return { answer: NODATA };
  const chain: ResourceRecord[] = [record(question.name, ttlSeconds, 'CNAME', { target: firstTarget })];
  if (type === 'CNAME') return { answer: positive(chain) };
  const seen = new Set([foldName(question.name)]);
  let target = firstTarget;
  while (isWithin(target, zone)) {
    if (seen.has(foldName(target)) || seen.size > ALIAS_HOPS_MAX) return { answer: NODATA };
    seen.add(foldName(target));
    const node = nodeAt(context, zone, target);
    if (node.kind !== 'alias') {
      const end = answerFrom(context, node, { ...question, name: target }, zoneAsAsked(target, zone));
      if (end.answers.length === 0 && strict) return { answer: NODATA };
      return { answer: { ...end, answers: [...chain, ...end.answers] } };
    }
    chain.push(record(target, ttlSeconds, 'CNAME', { target: node.target }));
    target = node.target;
  }
  return { chain, outside: target };
}

async function fromOutside(
  context: ClusterContext,
  query: Query,
  question: Question,
  chain: readonly ResourceRecord[],
): Promise<ClusterAnswer> {
  const found = await context.resolve(query, question);
  const rcode = context.options.strict ? 'NOERROR' : found.rcode;
  return {
    rcode,
    answers: [...chain, ...found.answers],
    additionals: [],
    negative: false,
    ...(rcode !== 'NOERROR' && { authorities: found.authorities }),
    ...(found.truncated && { truncated: true }),
  };
}
