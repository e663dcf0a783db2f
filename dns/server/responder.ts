import type { Clock } from '../../src/base/clock.ts';
import type { Drain } from '../../src/base/drain.ts';
import { messageOf as textOf } from '../../src/base/fault.ts';
import type { Logger } from '../../src/base/log.ts';
import { QUERIES_IN_FLIGHT, RESOLVE_DEPTH } from '../limits.ts';
import { composeChain } from '../chain.ts';
import {
  failure,
  type ExtendedError,
  type Handler,
  type Outcome,
  type Peer,
  type Query,
  type Transport,
} from '../query.ts';
import { decodeMessage } from '../wire/decode.ts';
import { replyTo, type EdnsOption, type Message, type Question } from '../wire/message.ts';
import { EDE } from '../wire/numbers.ts';
import { admit, innerRequest } from './admit.ts';
import type { BlockTable, OpenBlock } from './blocks.ts';
import type { ServerCookies } from './cookie.ts';
import { finishReply, messageOf, packReply, type ReplyOptions } from './reply.ts';
import type { TsigGate } from './tsig-gate.ts';

/** Where a question came from and where its answer goes. */
export interface Arrival {
  readonly transport: Transport;
  readonly client: Peer;
  readonly server: Peer;
  readonly listener: string;
  readonly signal: AbortSignal;
}

/** Sends one packed message. Called once for an answer, several times for a stream, never for a dropped question. */
export type Respond = (bytes: Uint8Array) => void;

/** Counts of what never reached a chain. */
export interface ResponderCounts {
  ignored: number;
  refused: number;
  overloaded: number;
  threw: number;
}

/** What listeners need of a Responder. */
export type Answerer = Pick<Responder, 'answer'>;

interface ResponderDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly cookies: ServerCookies;
  readonly drain: Drain;
  readonly tsig: TsigGate;
}

/** The slow path: bytes in, plugins asked, bytes out. Never throws. */
export class Responder {
  readonly counts: ResponderCounts = { ignored: 0, refused: 0, overloaded: 0, threw: 0 };
  readonly #deps: ResponderDeps;
  readonly #options: ReplyOptions;
  readonly #tables: (listener: string) => BlockTable | undefined;

  constructor(
    deps: ResponderDeps,
    options: ReplyOptions,
    tables: (listener: string) => BlockTable | undefined,
  ) {
    this.#deps = deps;
    this.#options = options;
    this.#tables = tables;
  }

  /** Answers one message; `done` is called when nothing more will be sent for it. */
  answer(bytes: Uint8Array, arrival: Arrival, respond: Respond, done?: () => void): void {
    const admission = admit(decodeMessage(bytes), this.#options.strict);
    if (admission.verdict === 'ignore') {
      this.counts.ignored++;
      return done?.();
    }
    const { request } = admission;
    const cookie = this.#deps.cookies.check(request, arrival.client.address);
    if (admission.verdict === 'refuse' || cookie.state === 'malformed') {
      this.counts.refused++;
      const reply = admission.verdict === 'refuse' ? admission.reply : replyTo(request, { rcode: 'FORMERR' });
      respond(this.#refuse(request, reply, cookie.option, arrival));
      return done?.();
    }
    const seen = this.#deps.tsig.check(bytes, request);
    if (seen.kind === 'malformed' || seen.kind === 'refused') {
      this.counts.refused++;
      const reply = replyTo(request, { rcode: seen.kind === 'refused' ? 'NOTAUTH' : 'FORMERR' });
      const packed = this.#refuse(request, reply, cookie.option, arrival);
      respond(seen.kind === 'refused' ? seen.seal(packed) : packed);
      return done?.();
    }
    const signed = seen.kind === 'signed' ? seen : undefined;
    const query = this.#queryOf(signed?.request ?? request, admission.question, arrival);
    this.#serve(signed ? { ...query, signed: signed.signed } : query, bytes, cookie.option, respond, done);
  }

  /** Asks the blocks of the same listener on behalf of query. */
  async resolve(query: Query, question: Question): Promise<Message> {
    const request = innerRequest(query.request, question);
    if (query.depth >= RESOLVE_DEPTH) return replyTo(request, { rcode: 'SERVFAIL' });
    const inner = { ...query, request, question, name: question.name.toLowerCase(), depth: query.depth + 1 };
    const { outcome } = await this.#ask(inner);
    return messageOf(request, outcome) ?? replyTo(request, { rcode: 'SERVFAIL' });
  }

  #queryOf(request: Message, question: Question, arrival: Arrival): Query {
    return {
      ...arrival,
      request,
      question,
      name: question.name.toLowerCase(),
      metadata: new Map(),
      arrivedMs: this.#deps.clock.monotonicMs(),
      zone: '',
      view: '',
      depth: 0,
    };
  }

  #serve(
    query: Query,
    bytes: Uint8Array,
    cookie: EdnsOption | undefined,
    respond: Respond,
    done: (() => void) | undefined,
  ): void {
    const ticket = this.#deps.drain.track();
    const finish = ({ outcome, block, chosen }: Asked): void => {
      this.#send(chosen, outcome, block, bytes, cookie, respond)
        .catch((error: unknown) => this.#deps.log.error('answer not sent', { reason: textOf(error), error }))
        .finally(() => {
          ticket[Symbol.dispose]();
          done?.();
        });
    };
    const asked = this.#ask(query);
    if (asked instanceof Promise) void asked.then(finish);
    else finish(asked);
  }

  #ask(query: Query): Asked | Promise<Asked> {
    const table = this.#tables(query.listener);
    const found = table?.choose(query);
    const block = found?.block;
    const chosen = found ? { ...query, zone: found.zone, view: found.view } : query;
    const refusal = this.#refusal(chosen, block);
    if (refusal || !block) return { outcome: refusal ?? NO_ZONE, block: undefined, chosen };
    try {
      const outcome = handlerFor(block, chosen)(chosen);
      if (!(outcome instanceof Promise)) return { outcome, block, chosen };
      return outcome.then(
        (settled) => ({ outcome: settled, block, chosen }),
        (error: unknown) => ({ outcome: this.#threw(error, chosen), block, chosen }),
      );
    } catch (error) {
      return { outcome: this.#threw(error, chosen), block, chosen };
    }
  }

  #refusal(query: Query, block: OpenBlock | undefined): Outcome | undefined {
    if (!block) return NO_ZONE;
    const { opcode } = query.request;
    const takes = (kind: 'classes' | 'opcodes', value: string): boolean =>
      block.plugins.some((plugin) => (plugin[kind] as readonly string[] | undefined)?.includes(value));
    if (opcode !== 'QUERY' && !takes('opcodes', opcode)) return failure('NOTIMP', `opcode ${opcode}`);
    const asked = query.question.class;
    if (asked !== 'IN' && !takes('classes', asked)) return failure('REFUSED', `class ${asked}`);
    if (this.#deps.drain.activeCount <= QUERIES_IN_FLIGHT) return undefined;
    this.counts.overloaded++;
    const { shed } = block.settings;
    if (shed && query.transport === 'udp') {
      shed();
      return { kind: 'drop', reason: 'too many questions under way' };
    }
    return failure('SERVFAIL', 'too many questions under way', {
      code: EDE.OTHER,
      text: 'server is overloaded',
    });
  }

  #threw(error: unknown, query: Query): Outcome {
    this.counts.threw++;
    this.#deps.log.error('plugin threw', {
      name: query.question.name,
      type: query.question.type,
      reason: textOf(error),
      error,
    });
    return failure('SERVFAIL', textOf(error), { code: EDE.OTHER, text: 'internal error' });
  }

  async #send(
    query: Query,
    outcome: Outcome,
    block: OpenBlock | undefined,
    requestBytes: Uint8Array,
    cookie: EdnsOption | undefined,
    respond: Respond,
  ): Promise<void> {
    if (outcome.kind === 'stream') return await this.#stream(query, outcome.messages, respond);
    const made = messageOf(query.request, outcome);
    const extended = outcome.kind === 'drop' ? undefined : whyOf(outcome);
    const maxBytes = outcome.kind === 'reply' ? outcome.maxBytes : undefined;
    const finished = made && finishReply(query.request, made, extended, cookie, this.#options);
    const { recursionDesired } = outcome.kind === 'reply' ? outcome : {};
    const reply = finished && (recursionDesired === undefined ? finished : { ...finished, recursionDesired });
    const replyBytes = reply && packReply(query, reply, maxBytes, this.#options);
    if (replyBytes) respond(replyBytes);
    const durationMs = this.#deps.clock.monotonicMs() - query.arrivedMs;
    for (const plugin of block?.plugins ?? []) {
      plugin.observe?.({ query, requestBytes, outcome, reply, replyBytes, durationMs });
    }
  }

  async #stream(query: Query, messages: AsyncIterable<Message>, respond: Respond): Promise<void> {
    for await (const message of messages) {
      if (query.signal.aborted) return;
      const reply = finishReply(query.request, message, undefined, undefined, this.#options);
      respond(packReply(query, reply, undefined, this.#options));
    }
  }

  /** What is said before any plugin is asked. */
  #refuse(request: Message, made: Message, cookie: EdnsOption | undefined, arrival: Arrival): Uint8Array {
    const reply = finishReply(request, made, undefined, cookie, this.#options);
    return packReply({ transport: arrival.transport, request }, reply, undefined, this.#options);
  }
}

/** A NOTIFY is no question: it goes past every plugin that knows nothing of it. */
function handlerFor(block: OpenBlock, { request }: Query): Handler {
  if (request.opcode === 'QUERY') return block.handler;
  return composeChain(block.plugins.filter(({ opcodes }) => opcodes?.includes(request.opcode)));
}

interface Asked {
  readonly outcome: Outcome;
  readonly block: OpenBlock | undefined;
  /** The question with its zone and view. */
  readonly chosen: Query;
}

/** Every SERVFAIL says why (RFC 8914). */
function whyOf(outcome: Exclude<Outcome, { kind: 'drop' | 'stream' }>): ExtendedError | undefined {
  if (outcome.extended || outcome.kind === 'reply' || outcome.rcode !== 'SERVFAIL') return outcome.extended;
  return { code: EDE.OTHER, text: outcome.reason };
}

const NO_ZONE: Outcome = failure('REFUSED', 'no server block has this zone', {
  code: EDE.NOT_AUTHORITATIVE,
  text: 'no zone of this server holds the name',
});
