import { Writer } from 'protobufjs/minimal.js';
import { parseAddress } from '../../../src/net/ip.ts';
import { nameToWire } from '../../wire/name.ts';
import type { Peer } from '../../query.ts';

/** Field numbers and values of dnstap.proto. */
const DNSTAP = { identity: 1, version: 2, extra: 3, message: 14, type: 15 } as const;
const MESSAGE = {
  type: 1,
  socketFamily: 2,
  socketProtocol: 3,
  queryAddress: 4,
  responseAddress: 5,
  queryPort: 6,
  responsePort: 7,
  queryTimeSec: 8,
  queryTimeNsec: 9,
  queryMessage: 10,
  queryZone: 11,
  responseTimeSec: 12,
  responseTimeNsec: 13,
  responseMessage: 14,
} as const;
const TYPE_MESSAGE = 1;
const KIND = { CLIENT_QUERY: 5, CLIENT_RESPONSE: 6, FORWARDER_QUERY: 7, FORWARDER_RESPONSE: 8 } as const;
const INET = 1;
const INET6 = 2;
const PROTOCOL = { udp: 1, tcp: 2, tls: 3, 'tcp-tls': 3, https: 4 } as const;
const VARINT = 0;
const BYTES = 2;
const FIXED32 = 5;

export interface PayloadOptions {
  readonly identity: Uint8Array;
  readonly version: Uint8Array;
  /** The messages themselves go along. */
  readonly full: boolean;
}

/** One message on its way between two hosts. */
export interface TapMessage {
  readonly kind: keyof typeof KIND;
  readonly protocol: keyof typeof PROTOCOL;
  /** Who asks; undefined where that is not known. */
  readonly asker: Peer | undefined;
  readonly answerer: Peer;
  /** Wall time in milliseconds. */
  readonly queryMs: number;
  /** Of answers. */
  readonly responseMs?: number;
  /** The zone that the question belongs to; empty = none. */
  readonly zone: string;
  readonly bytes: () => Uint8Array;
}

/** A message as the dnstap schema has it. */
export function dnstapPayload(message: TapMessage, extra: string, options: PayloadOptions): Uint8Array {
  const writer = Writer.create();
  bytes(writer, DNSTAP.identity, options.identity);
  bytes(writer, DNSTAP.version, options.version);
  if (extra !== '') bytes(writer, DNSTAP.extra, Buffer.from(extra));
  bytes(writer, DNSTAP.message, packMessage(message, options));
  varint(writer, DNSTAP.type, TYPE_MESSAGE);
  return writer.finish();
}

function packMessage(message: TapMessage, { full }: PayloadOptions): Uint8Array {
  const { kind, protocol, asker, answerer, queryMs, responseMs } = message;
  const from = asker && parseAddress(asker.address);
  const to = parseAddress(answerer.address);
  const writer = Writer.create();
  varint(writer, MESSAGE.type, KIND[kind]);
  varint(writer, MESSAGE.socketFamily, (from ?? to)?.length === 16 ? INET6 : INET);
  varint(writer, MESSAGE.socketProtocol, PROTOCOL[protocol]);
  if (from) bytes(writer, MESSAGE.queryAddress, from);
  if (to) bytes(writer, MESSAGE.responseAddress, to);
  if (asker) varint(writer, MESSAGE.queryPort, asker.port);
  varint(writer, MESSAGE.responsePort, answerer.port);
  time(writer, MESSAGE.queryTimeSec, MESSAGE.queryTimeNsec, queryMs);
  const zone = message.zone === '' ? undefined : nameToWire(message.zone);
  if (zone) bytes(writer, MESSAGE.queryZone, zone);
  if (responseMs === undefined) {
    if (full) bytes(writer, MESSAGE.queryMessage, message.bytes());
  } else {
    time(writer, MESSAGE.responseTimeSec, MESSAGE.responseTimeNsec, responseMs);
    if (full) bytes(writer, MESSAGE.responseMessage, message.bytes());
  }
  return writer.finish();
}

function varint(writer: Writer, field: number, value: number): void {
  writer.uint32((field << 3) | VARINT).uint64(value);
}

function bytes(writer: Writer, field: number, value: Uint8Array): void {
  writer.uint32((field << 3) | BYTES).bytes(value);
}

function time(writer: Writer, secondsField: number, nanosField: number, ms: number): void {
  const seconds = Math.floor(ms / 1000);
  varint(writer, secondsField, seconds);
  writer.uint32((nanosField << 3) | FIXED32).fixed32(Math.floor((ms - seconds * 1000) * 1e6));
}
