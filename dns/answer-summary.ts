import type { Peer, Transport } from './query.ts';
import type { Edns, MessageFlags, Question } from './wire/message.ts';
import type { Opcode, Rcode } from './wire/numbers.ts';

/** What is worth a line of an answer, whoever made it: a chain, or the compiled table without one. */
export interface AnswerSummary {
  readonly client: Peer;
  readonly transport: Transport;
  readonly id: number;
  readonly opcode: Opcode;
  readonly question: Question;
  readonly edns: Pick<Edns, 'udpSize' | 'dnssecOk'> | undefined;
  readonly requestBytes: number;
  /** undefined when nothing was sent. */
  readonly reply: RepliedWith | undefined;
  readonly replyBytes: number;
  readonly durationMs: number;
}

export interface RepliedWith extends MessageFlags {
  readonly rcode: Rcode;
  /** NOERROR with a SOA in place of records: the name has none of this type. */
  readonly noData: boolean;
}

/** Which answers of the compiled table somebody wants to be told of; plain data, for readers on other threads. */
export interface WatchPolicy {
  /** Folded wire forms; of names within any of them. */
  readonly names: readonly Uint8Array[];
  /** Those that bring records. */
  readonly success: boolean;
  /** Those that say there are none: NXDOMAIN, NODATA. */
  readonly denial: boolean;
  /** Of so many answers one, at random; 1 = all. */
  readonly oneIn: number;
}

/** Somebody who is told of answers of the compiled table, soon after they were sent. */
export interface AnswerWatcher {
  readonly policy: WatchPolicy;
  observe(answer: AnswerSummary): void;
  /** There was no room to keep so many until somebody reads them: no answer waits for that. */
  missed(count: number): void;
}
