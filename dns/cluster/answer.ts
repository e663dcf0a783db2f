import type { Query } from '../query.ts';
import type { Message, Question, ResourceRecord } from '../wire/message.ts';
import { foldName, labelsBelow } from '../wire/name.ts';
import type { Rcode } from '../wire/numbers.ts';
import { nameServerRecords, nameServers, soaRecord } from './apex.ts';
import { forwardNode } from './forward-node.ts';
import { addressRecord, addressRecords, srvRecords } from './host-records.ts';
import type { ClusterNode } from './node.ts';
import { DNS_VERSION, isReverseZone, VERSION_TTL_SECONDS, type ClusterOptions } from './options.ts';
import { reverseNode } from './reverse-node.ts';
import type { ClusterView } from './view.ts';

export interface ClusterContext {
  readonly view: ClusterView;
  readonly options: ClusterOptions;
  /** Where the server can be reached: NS glue. */
  serverAddresses(): readonly string[];
  /** For `zone_order`; absent = off. */
  readonly clientZones?:
    | { zoneOf(address: string): string | undefined; readonly random: () => number }
    | undefined;
  /** Asks the whole server, for targets outside of our zones. */
  resolve(query: Query, question: Question): Promise<Message>;
}

/** The part of an answer that is not about messages. */
export interface ClusterAnswer {
  readonly rcode: Rcode;
  readonly answers: readonly ResourceRecord[];
  readonly additionals: readonly ResourceRecord[];
  /** It denies something: our SOA goes with it. */
  readonly negative: boolean;
  /** From elsewhere, with answers of elsewhere. */
  readonly authorities?: readonly ResourceRecord[];
  readonly truncated?: boolean;
  /** The order of the records means something. */
  readonly ordered?: boolean;
}

export const NXDOMAIN: ClusterAnswer = { rcode: 'NXDOMAIN', answers: [], additionals: [], negative: true };
export const NODATA: ClusterAnswer = { rcode: 'NOERROR', answers: [], additionals: [], negative: true };

/** Finds what stands at a name. `zone` is folded and contains `name`. */
export function nodeAt(context: ClusterContext, zone: string, name: string): ClusterNode {
  const folded = foldName(name);
  if (isReverseZone(zone)) return reverseNode(context.view, context.options, zone, folded);
  return forwardNode(context.view, context.options, zone, labelsBelow(folded, zone));
}

/** The answer of a node that is not an alias. `zone` is spelled as asked. */
export function answerFrom(
  context: ClusterContext,
  node: ClusterNode,
  { name, type }: Question,
  zone: string,
): ClusterAnswer {
  const { view, options } = context;
  switch (node.kind) {
    case 'absent':
      return NXDOMAIN;
    case 'hosts': {
      if (type === 'A' || type === 'AAAA') {
        return positive(addressRecords(node.hosts, type, name, options.ttlSeconds));
      }
      if (type !== 'SRV') return NODATA;
      const { answers, glue } = srvRecords(node.hosts, name, options.ttlSeconds, zone);
      return positive(answers, answers.length > 0 ? glue : []);
    }
    case 'apex': {
      if (type === 'SOA') return positive([soaRecord(view, options, zone)]);
      if (type !== 'NS') return NODATA;
      const { answers, glue } = nameServerRecords(view, options, zone, context.serverAddresses());
      return positive(answers, glue);
    }
    case 'name-server': {
      const servers = nameServers(view, options, context.serverAddresses());
      const records = servers
        .flatMap((server) => server.addresses)
        .map((address) => addressRecord(name, options.ttlSeconds, address));
      return positive(records.filter((record) => record.type === type));
    }
    case 'version': {
      const texts = {
        name,
        class: 'IN',
        ttl: VERSION_TTL_SECONDS,
        type: 'TXT',
        data: { texts: [DNS_VERSION] },
      } as const;
      return type === 'TXT' ? positive([texts]) : NODATA;
    }
    case 'pointers': {
      if (type !== 'PTR') return NODATA;
      const ttl = options.ttlSeconds;
      return positive(
        node.targets.map((target) => ({ name, class: 'IN', ttl, type: 'PTR', data: { target } }) as const),
      );
    }
    case 'empty':
    case 'alias':
      return NODATA;
  }
}

export function positive(
  answers: readonly ResourceRecord[],
  additionals: readonly ResourceRecord[] = [],
): ClusterAnswer {
  return answers.length === 0 ? NODATA : { rcode: 'NOERROR', answers, additionals, negative: false };
}
