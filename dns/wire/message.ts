import type { Opcode, Rcode, RecordClass, RecordType } from './numbers.ts';
import type { Rdata, SchemaType } from './rdata-schema.ts';

interface RecordHead {
  /** Owner name, fully qualified. */
  readonly name: string;
  readonly class: RecordClass;
  readonly ttl: number;
}

/** A record of a type with its fields spelled out. */
export type TypedRecord<T extends SchemaType = SchemaType> = {
  [K in T]: RecordHead & { readonly type: K; readonly data: Rdata<K> };
}[T];

/** A record of any other type: octets as they came (RFC 3597). */
export interface OpaqueRecord extends RecordHead {
  readonly type: Exclude<RecordType, SchemaType>;
  readonly data: { readonly octets: Uint8Array };
}

export type ResourceRecord = TypedRecord | OpaqueRecord;

export interface Question {
  readonly name: string;
  readonly type: RecordType;
  readonly class: RecordClass;
}

export interface EdnsOption {
  readonly code: number;
  readonly data: Uint8Array;
}

/** The OPT pseudo record (RFC 6891), kept apart from the additional section. */
export interface Edns {
  readonly udpSize: number;
  readonly version: number;
  readonly dnssecOk: boolean;
  readonly options: readonly EdnsOption[];
}

export interface MessageFlags {
  readonly response: boolean;
  readonly opcode: Opcode;
  readonly authoritative: boolean;
  readonly truncated: boolean;
  readonly recursionDesired: boolean;
  readonly recursionAvailable: boolean;
  readonly authenticData: boolean;
  readonly checkingDisabled: boolean;
}

export interface Message extends MessageFlags {
  readonly id: number;
  /** Extended codes need `edns`; without it they are sent as SERVFAIL. */
  readonly rcode: Rcode;
  readonly questions: readonly Question[];
  readonly answers: readonly ResourceRecord[];
  readonly authorities: readonly ResourceRecord[];
  /** Without OPT. */
  readonly additionals: readonly ResourceRecord[];
  readonly edns?: Edns | undefined;
}

/** Shorthand for an IN record of a known type. */
export function record<T extends SchemaType>(
  name: string,
  ttl: number,
  type: T,
  data: Rdata<T>,
): TypedRecord<T> {
  return { name, class: 'IN', ttl, type, data } as unknown as TypedRecord<T>;
}

/** A query of one question, recursion desired, id 0. */
export function queryMessage(question: Question, parts: Partial<Message> = {}): Message {
  return {
    id: 0,
    response: false,
    opcode: 'QUERY',
    authoritative: false,
    truncated: false,
    recursionDesired: true,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled: false,
    rcode: 'NOERROR',
    questions: [question],
    answers: [],
    authorities: [],
    additionals: [],
    ...parts,
  };
}

/** An empty reply to request: id, opcode, question, RD and CD copied; AA, TC, RA, AD clear; no OPT. */
export function replyTo(request: Message, parts: Partial<Message> = {}): Message {
  return {
    id: request.id,
    response: true,
    opcode: request.opcode,
    authoritative: false,
    truncated: false,
    recursionDesired: request.recursionDesired,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled: request.checkingDisabled,
    rcode: 'NOERROR',
    questions: request.questions.slice(0, 1),
    answers: [],
    authorities: [],
    additionals: [],
    ...parts,
  };
}
