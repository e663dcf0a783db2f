import { Fault, hasCode } from '../../base/fault.ts';
import { attributeAt, attributesOf, MessageWriter, NLM_F } from './message.ts';
import type { NetlinkSocket } from './socket.ts';

/** linux/netfilter/nfnetlink.h and nf_tables.h. */
const BATCH_BEGIN = 0x10;
const BATCH_END = 0x11;
const SUBSYSTEM = 10;
const message = (type: number): number => (SUBSYSTEM << 8) | type;
const NEWSETELEM = message(12);
const GETSETELEM = message(13);
const DELSETELEM = message(14);
const LIST = { TABLE: 1, SET: 2, ELEMENTS: 3 } as const;
const LIST_ELEMENT = 1;
const ELEMENT = { KEY: 1, DATA: 2, USERDATA: 6, EXPRESSION: 7, KEY_END: 10 } as const;
/** An expression's own attributes, and the packets of a counter. */
const EXPRESSION_DATA = 2;
const COUNTER_PACKETS = 2;
const DATA = { VALUE: 1, VERDICT: 2 } as const;
const VERDICT = { CODE: 1, CHAIN: 2 } as const;
const NF_DROP = 0;
const NFT_GOTO = -4;
/** User data are again type, length, value: a comment has type 0. */
const COMMENT = 0;
const COMMENT_BYTES_MAX = 128;

const FAMILY = { ip: 2, ip6: 10 } as const;
/** struct nfgenmsg: family, version, resource id; then the attributes. */
const HEADER_BYTES = 4;
/** Elements of one message: a nested attribute is at most 64 KiB. */
const ELEMENTS_PER_MESSAGE = 400;
/** Elements asked for at once: each is an answer of its own, and all must fit the socket's receive buffer. */
const ELEMENTS_PER_QUESTION = 100;

export type NftVerdict = { readonly verdict: 'drop' } | { readonly verdict: 'goto'; readonly chain: string };

/** An element as the kernel wants it: key and value in the layout of its map's types. */
export interface NftElement {
  readonly key: Uint8Array;
  /** The last key of a range (sets of flags interval). */
  readonly keyEnd?: Uint8Array;
  readonly value?: Uint8Array | NftVerdict;
  readonly comment?: string;
}

/** Elements of one set or map that come or go. */
export interface NftElementChange {
  readonly verb: 'add' | 'delete';
  readonly set: string;
  readonly elements: readonly NftElement[];
}

/** Elements of one table, written without a program. Faults are those of NetlinkSocket.request. */
export class NftElements implements Disposable {
  readonly #socket: NetlinkSocket;
  readonly #family: 'ip' | 'ip6';
  readonly #table: string;

  constructor(socket: NetlinkSocket, family: 'ip' | 'ip6', table: string) {
    this.#socket = socket;
    this.#family = family;
    this.#table = table;
  }

  /** One transaction, in the order given: all or nothing. */
  async write(changes: readonly NftElementChange[]): Promise<void> {
    const out = new MessageWriter();
    let sequence = control(out, BATCH_BEGIN);
    for (const change of changes)
      for (let from = 0; from < change.elements.length; from += ELEMENTS_PER_MESSAGE)
        sequence = this.#message(out, change, change.elements.slice(from, from + ELEMENTS_PER_MESSAGE));
    control(out, BATCH_END);
    const { acknowledged } = await this.#socket.request(out.take());
    if (!acknowledged.has(sequence)) throw new Fault('NETLINK', 'the kernel did not confirm a transaction');
  }

  /** The comment of one element. Faults: ENOENT when there is no such table, set or element. */
  async comment(set: string, key: Uint8Array): Promise<string | undefined> {
    const out = new MessageWriter();
    out.begin(GETSETELEM, 0);
    this.#head(out, set);
    out.nest(LIST.ELEMENTS, () => writeElement(out, { key }));
    out.end();
    const { messages } = await this.#socket.request(out.take());
    const [found] = messages.filter(({ type }) => type === NEWSETELEM);
    const path = [LIST.ELEMENTS, LIST_ELEMENT, ELEMENT.USERDATA];
    const data = found && attributeAt(found.payload, path, HEADER_BYTES);
    return data && commentIn(data);
  }

  /**
   * How many packets met each of the keys, in a set that counts. Those of a question with a key that is not there any
   * more are left out.
   */
  async packets(set: string, keys: readonly Uint8Array[]): Promise<ReadonlyMap<string, number>> {
    const found = new Map<string, number>();
    for (let from = 0; from < keys.length; from += ELEMENTS_PER_QUESTION)
      for (const payload of await this.#ask(set, keys.slice(from, from + ELEMENTS_PER_QUESTION)))
        noteCounters(payload, found);
    return found;
  }

  /** The keys and values of a whole map: only where that is not large. */
  async list(map: string): Promise<readonly { readonly key: Uint8Array; readonly value: Uint8Array }[]> {
    const out = new MessageWriter();
    out.begin(GETSETELEM, NLM_F.DUMP);
    this.#head(out, map);
    out.end();
    const { messages } = await this.#socket.request(out.take(), { about: () => `the elements of ${map}` });
    return messages.flatMap(({ payload }) => pairsIn(payload));
  }

  async #ask(set: string, keys: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
    const out = new MessageWriter();
    out.begin(GETSETELEM, 0);
    this.#head(out, set);
    out.nest(LIST.ELEMENTS, () => keys.forEach((key) => writeElement(out, { key })));
    out.end();
    try {
      const { messages } = await this.#socket.request(out.take());
      return messages.filter(({ type }) => type === NEWSETELEM).map(({ payload }) => payload);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return [];
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }

  #message(out: MessageWriter, { verb, set }: NftElementChange, elements: readonly NftElement[]): number {
    const isAdd = verb === 'add';
    const sequence = out.begin(isAdd ? NEWSETELEM : DELSETELEM, NLM_F.ACK | (isAdd ? NLM_F.CREATE : 0));
    this.#head(out, set);
    out.nest(LIST.ELEMENTS, () => {
      for (const element of elements) writeElement(out, isAdd ? element : keyOnly(element));
    });
    out.end();
    return sequence;
  }

  #head(out: MessageWriter, set: string): void {
    out.raw(Uint8Array.of(FAMILY[this.#family], 0, 0, 0));
    out.text(LIST.TABLE, this.#table);
    out.text(LIST.SET, set);
  }
}

function control(out: MessageWriter, type: number): number {
  const sequence = out.begin(type, 0);
  out.raw(Uint8Array.of(0, 0, 0, SUBSYSTEM));
  out.end();
  return sequence;
}

function keyOnly({ key, keyEnd }: NftElement): NftElement {
  return { key, ...(keyEnd && { keyEnd }) };
}

function writeElement(out: MessageWriter, { key, keyEnd, value, comment }: NftElement): void {
  out.nest(LIST_ELEMENT, () => {
    out.nest(ELEMENT.KEY, () => out.bytes(DATA.VALUE, key));
    if (keyEnd) out.nest(ELEMENT.KEY_END, () => out.bytes(DATA.VALUE, keyEnd));
    if (value) out.nest(ELEMENT.DATA, () => writeValue(out, value));
    if (comment !== undefined) out.bytes(ELEMENT.USERDATA, userData(comment));
  });
}

function writeValue(out: MessageWriter, value: Uint8Array | NftVerdict): void {
  if (value instanceof Uint8Array) return out.bytes(DATA.VALUE, value);
  out.nest(DATA.VERDICT, () => {
    out.u32be(VERDICT.CODE, value.verdict === 'goto' ? NFT_GOTO : NF_DROP);
    if (value.verdict === 'goto') out.text(VERDICT.CHAIN, value.chain);
  });
}

function userData(comment: string): Uint8Array {
  const text = Buffer.from(`${comment.slice(0, COMMENT_BYTES_MAX - 1)}\0`);
  return Uint8Array.of(COMMENT, text.length, ...text);
}

/** A key as text, to look it up by. */
export function keyText(key: Uint8Array): string {
  return Buffer.from(key).toString('latin1');
}

function pairsIn(payload: Uint8Array): { key: Uint8Array; value: Uint8Array }[] {
  const list = attributeAt(payload, [LIST.ELEMENTS], HEADER_BYTES);
  return Array.from(list ? attributesOf(list) : [], ([, element]) => ({
    key: attributeAt(element, [ELEMENT.KEY, DATA.VALUE]),
    value: attributeAt(element, [ELEMENT.DATA, DATA.VALUE]),
  })).filter((pair): pair is { key: Uint8Array; value: Uint8Array } => !!pair.key && !!pair.value);
}

function noteCounters(payload: Uint8Array, into: Map<string, number>): void {
  const list = attributeAt(payload, [LIST.ELEMENTS], HEADER_BYTES);
  for (const [, element] of list ? attributesOf(list) : []) {
    const key = attributeAt(element, [ELEMENT.KEY, DATA.VALUE]);
    const packets = attributeAt(element, [ELEMENT.EXPRESSION, EXPRESSION_DATA, COUNTER_PACKETS]);
    if (key && packets?.length === 8)
      into.set(keyText(key), Number(new DataView(packets.buffer, packets.byteOffset, 8).getBigUint64(0)));
  }
}

function commentIn(data: Uint8Array): string | undefined {
  for (let at = 0; at + 2 <= data.length; at += 2 + (data[at + 1] ?? 0)) {
    const end = at + 2 + (data[at + 1] ?? 0);
    if (data[at] === COMMENT) return Buffer.from(data.subarray(at + 2, end - 1)).toString();
  }
  return undefined;
}
