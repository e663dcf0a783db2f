import type { Message, Question } from './wire/message.ts';
import type { Rcode, RecordType } from './wire/numbers.ts';

export type Transport = 'udp' | 'tcp' | 'tls' | 'https';

export interface Peer {
  readonly address: string;
  readonly port: number;
}

/** One question on its way through a chain. Plugins never change it; they hand a changed copy to `next`. */
export interface Query {
  readonly request: Message;
  /** The only question of the request, as asked (case kept). */
  readonly question: Question;
  /** question.name in lower case, for comparing. */
  readonly name: string;
  readonly transport: Transport;
  readonly client: Peer;
  /** The address of ours that the question came to. */
  readonly server: Peer;
  /** Facts for the plugins behind (rewrite, log, view), by name `plugin/fact`. Shared by all copies of a query. */
  readonly metadata: Map<string, () => string>;
  /** Aborted when nobody waits for the answer any more (deadline, connection gone, shutdown). */
  readonly signal: AbortSignal;
  /** Monotonic time of arrival. */
  readonly arrivedMs: number;
  /** Zone of the server block that was chosen. */
  readonly zone: string;
  /** Name of the view that was chosen; empty = none. */
  readonly view: string;
  /** The listener, `dns://:53`, as CoreDNS's metrics name it. */
  readonly listener: string;
  /** 0 for a client's question, one more for each look-up inside a look-up. */
  readonly depth: number;
  /** The client has signed with a key of ours (RFC 8945); what goes back will be signed too. */
  readonly signed?: SignedQuestion | undefined;
}

export interface SignedQuestion {
  readonly keyName: string;
  /** Octets to leave free for the signature. */
  readonly reserveBytes: number;
  /** Each message of the answer, in order, as it goes out. */
  sign(reply: Uint8Array): Uint8Array;
}

/** An Extended DNS Error (RFC 8914): why an answer is as it is. */
export interface ExtendedError {
  readonly code: number;
  readonly text: string;
}

/**
 * What became of a question. A value always says whether there is something to send:
 * - reply: send this message (its id, question and OPT are put right by the server)
 * - failure: the server makes the reply; `reason` goes to the log, `extended` to the client
 * - stream: several messages, TCP only (zone transfer)
 * - drop: say nothing
 */
export type Outcome =
  | {
      readonly kind: 'reply';
      readonly message: Message;
      readonly extended?: ExtendedError;
      /** Over UDP the reply is cut to this, if that is less than the client takes (`bufsize`). */
      readonly maxBytes?: number;
      /** The order of the records was chosen for this client: `loadbalance` leaves it. */
      readonly ordered?: boolean;
      /** Sent instead of the RD bit of the question (`header`). */
      readonly recursionDesired?: boolean;
      /** Name of the plugin that made it; filled in by the chain. */
      readonly plugin?: string;
    }
  | {
      readonly kind: 'failure';
      readonly rcode: Rcode;
      readonly reason: string;
      readonly extended?: ExtendedError;
      readonly plugin?: string;
    }
  | { readonly kind: 'stream'; readonly messages: AsyncIterable<Message>; readonly plugin?: string }
  | { readonly kind: 'drop'; readonly reason: string; readonly plugin?: string };

export type Handler = (query: Query) => Outcome | Promise<Outcome>;

/** A copy of query that asks something else. */
export function withQuestion(query: Query, question: Question): Query {
  return {
    ...query,
    question,
    name: question.name.toLowerCase(),
    request: { ...query.request, questions: [question] },
  };
}

/** A copy of query with another request message (EDNS, flags); its first question must exist. */
export function withRequest(query: Query, request: Message): Query {
  const question = request.questions[0] ?? query.question;
  return { ...query, request, question, name: question.name.toLowerCase() };
}

export function failure(rcode: Rcode, reason: string, extended?: ExtendedError): Outcome {
  return extended ? { kind: 'failure', rcode, reason, extended } : { kind: 'failure', rcode, reason };
}

/** True for a question of this type in class IN. */
export function asks(query: Query, type: RecordType): boolean {
  return query.question.type === type && query.question.class === 'IN';
}
