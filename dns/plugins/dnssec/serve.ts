import type { Plugin, PluginDeps } from '../../plugin.ts';
import { asks, type Outcome, type Query } from '../../query.ts';
import { replyTo, type Message, type ResourceRecord } from '../../wire/message.ts';
import { foldName, isWithin } from '../../wire/name.ts';
import { longestZone } from '../../zone/serve.ts';
import { compactDenial, unsignedCut } from './denial.ts';
import { Signer, type SignerOptions } from './signer.ts';

export interface DnssecOptions extends SignerOptions {
  readonly zones: readonly string[];
}

/** Signs answers on their way out for clients that ask for DNSSEC. */
export function openDnssec(deps: PluginDeps, options: DnssecOptions): Plugin {
  const signer = new Signer(deps, options);
  return {
    name: 'dnssec',
    serve: (query, next) => {
      const zone = longestZone(query.name, options.zones);
      // The DS of a zone is signed by its parent.
      if (zone === undefined || (query.name === zone && asks(query, 'DS'))) return next(query);
      const signing = { signer, zone, query };
      if (query.name === zone && asks(query, 'DNSKEY')) return dnskeys(signing, options);
      if (query.request.edns?.dnssecOk !== true || query.question.class !== 'IN') return next(query);
      const outcome = next(query);
      return outcome instanceof Promise
        ? outcome.then((settled) => signed(signing, settled))
        : signed(signing, outcome);
    },
  };
}

interface Signing {
  readonly signer: Signer;
  readonly zone: string;
  readonly query: Query;
}

function dnskeys({ signer, zone, query }: Signing, { keys }: DnssecOptions): Outcome {
  const set = keys
    .filter((key) => key.zone === zone)
    .map(({ record }) => ({ ...record, name: query.question.name, ttl: keys[0]!.record.ttl }));
  const signatures = query.request.edns?.dnssecOk ? signer.sign(set, zone) : [];
  const message = replyTo(query.request, { authoritative: true, answers: [...set, ...signatures] });
  return { kind: 'reply', message };
}

function signed(signing: Signing, outcome: Outcome): Outcome {
  if (outcome.kind !== 'reply') return outcome;
  const { message } = outcome;
  const all = [...message.answers, ...message.authorities];
  const already = all.some(({ type }) => type === 'RRSIG');
  const answered = message.rcode === 'NOERROR' || message.rcode === 'NXDOMAIN';
  if (already || !answered || message.truncated) return outcome;
  return { ...outcome, message: signedMessage(signing, message) };
}

function signedMessage(signing: Signing, message: Message): Message {
  const { answers, authorities } = message;
  const delegated =
    answers.length === 0 && !message.authoritative && authorities.some(({ type }) => type === 'NS');
  if (delegated) return { ...message, authorities: signedCut(signing, authorities) };
  const soa = authorities.find(({ type }) => type === 'SOA');
  if (soa && isWithin(soa.name, signing.zone)) return denied(signing, message, soa);
  return {
    ...message,
    answers: withSignatures(signing, answers),
    authorities: withSignatures(signing, authorities),
  };
}

/** What follows the last alias is denied; the aliases are signed like any answer. */
function denied(signing: Signing, message: Message, soa: ResourceRecord): Message {
  const { query, zone, signer } = signing;
  const name = message.answers.reduce(
    (at, answer) =>
      answer.type === 'CNAME' && foldName(answer.name) === foldName(at) ? answer.data.target : at,
    query.question.name,
  );
  const { type } = query.question;
  const missing = message.rcode === 'NXDOMAIN';
  const apex = foldName(name) === zone;
  const proof = compactDenial(name, soa.ttl, missing ? { kind: 'name' } : { kind: 'type', type, apex });
  const authorities = withSignatures(signing, message.authorities);
  const proofs = isWithin(name, zone) ? [proof, ...signer.sign([proof], zone)] : [];
  return {
    ...message,
    rcode: proofs.length > 0 ? 'NOERROR' : message.rcode,
    answers: withSignatures(signing, message.answers),
    authorities: [...authorities, ...proofs],
  };
}

/** NS records of a cut belong to the child and are not signed; its DS, or the proof that there is none, is ours. */
function signedCut({ signer, zone }: Signing, authorities: readonly ResourceRecord[]): ResourceRecord[] {
  const signers = authorities.filter(({ type }) => type === 'DS');
  if (signers.length > 0) return [...authorities, ...signer.sign(signers, zone)];
  const [cut] = authorities;
  const proof = unsignedCut(cut!.name, cut!.ttl);
  return [...authorities, proof, ...signer.sign([proof], zone)];
}

/** Each RRset of the zone followed by its signatures; sets of other zones as they are. */
function withSignatures({ signer, zone }: Signing, records: readonly ResourceRecord[]): ResourceRecord[] {
  const sets = new Map<string, ResourceRecord[]>();
  for (const each of records) {
    const key = `${each.type} ${foldName(each.name)}`;
    sets.set(key, [...(sets.get(key) ?? []), each]);
  }
  return [...sets.values()].flatMap((set) => {
    const ttl = Math.min(...set.map((each) => each.ttl));
    const even = set.map((each) => (each.ttl === ttl ? each : { ...each, ttl }));
    return isWithin(set[0]!.name, zone) ? [...even, ...signer.sign(even, zone)] : even;
  });
}
