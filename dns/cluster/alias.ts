import type { Query } from '../query.ts';
import { record, type Question, type ResourceRecord } from '../wire/message.ts';
import { foldName, isWithin, zoneAsAsked } from '../wire/name.ts';
import { answerFrom, NODATA, nodeAt, type ClusterAnswer, type ClusterContext } from './answer.ts';
import { ALIAS_HOPS_MAX } from './options.ts';

/** Types that CoreDNS follows an ExternalName for. */
const STRICT_TYPES: readonly string[] = ['A', 'AAAA', 'CNAME'];

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
  const { strict, ttlSeconds } = context.options;
  const { type } = question;
  if (strict && !STRICT_TYPES.includes(type)) return NODATA;
  const chain: ResourceRecord[] = [record(question.name, ttlSeconds, 'CNAME', { target: firstTarget })];
  if (type === 'CNAME') return { rcode: 'NOERROR', answers: chain, additionals: [], negative: false };
  const seen = new Set([foldName(question.name)]);
  let target = firstTarget;
  while (isWithin(target, zone)) {
    if (seen.has(foldName(target)) || seen.size > ALIAS_HOPS_MAX) return NODATA;
    seen.add(foldName(target));
    const node = nodeAt(context, zone, target);
    if (node.kind !== 'alias') {
      const end = answerFrom(context, node, { ...question, name: target }, zoneAsAsked(target, zone));
      if (end.answers.length === 0 && strict) return NODATA;
      return { ...end, answers: [...chain, ...end.answers] };
    }
    chain.push(record(target, ttlSeconds, 'CNAME', { target: node.target }));
    target = node.target;
  }
  return await fromOutside(context, query, { ...question, name: target }, chain);
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
