import { Writer } from 'protobufjs/minimal.js';
import { parseAddress } from '../../../src/net/ip.ts';
import { nameToWire } from '../../wire/name.ts';
import type { SentReply, Transport } from '../../plugin.ts';

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
const CLIENT = { query: 5, response: 6 } as const;
const INET = 1;
const INET6 = 2;
const PROTOCOL: Readonly<Record<Transport, number>> = { udp: 1, tcp: 2, tls: 3, https: 4 };
const VARINT = 0;
const BYTES = 2;
const FIXED32 = 5;

export interface PayloadOptions {
  readonly identity: Uint8Array;
  readonly version: Uint8Array;
  /** The messages themselves go along. */
  readonly full: boolean;
}

/** Milliseconds of wall time. */
export interface SentTimes {
  readonly queryMs: number;
  readonly responseMs: number;
}

/** A CLIENT_QUERY or CLIENT_RESPONSE as the dnstap schema has it. */
export function dnstapPayload(
  kind: keyof typeof CLIENT,
  sent: SentReply,
  times: SentTimes,
  extra: string,
  options: PayloadOptions,
): Uint8Array {
  const writer = Writer.create();
  bytes(writer, DNSTAP.identity, options.identity);
  bytes(writer, DNSTAP.version, options.version);
  if (extra !== '') bytes(writer, DNSTAP.extra, Buffer.from(extra));
  bytes(writer, DNSTAP.message, messageOf(kind, sent, times, options));
  varint(writer, DNSTAP.type, TYPE_MESSAGE);
  return writer.finish();
}

function messageOf(
  kind: keyof typeof CLIENT,
  { query, requestBytes, replyBytes }: SentReply,
  { queryMs, responseMs }: SentTimes,
  { full }: PayloadOptions,
): Uint8Array {
  const { client, server, transport } = query;
  const from = parseAddress(client.address) ?? new Uint8Array(0);
  const to = parseAddress(server.address);
  const writer = Writer.create();
  varint(writer, MESSAGE.type, CLIENT[kind]);
  varint(writer, MESSAGE.socketFamily, from.length === 16 ? INET6 : INET);
  varint(writer, MESSAGE.socketProtocol, PROTOCOL[transport]);
  bytes(writer, MESSAGE.queryAddress, from);
  if (to) bytes(writer, MESSAGE.responseAddress, to);
  varint(writer, MESSAGE.queryPort, client.port);
  varint(writer, MESSAGE.responsePort, server.port);
  time(writer, MESSAGE.queryTimeSec, MESSAGE.queryTimeNsec, queryMs);
  const zone = query.zone === '' ? undefined : nameToWire(query.zone);
  if (zone) bytes(writer, MESSAGE.queryZone, zone);
  if (kind === 'query') {
    if (full) bytes(writer, MESSAGE.queryMessage, requestBytes);
  } else {
    time(writer, MESSAGE.responseTimeSec, MESSAGE.responseTimeNsec, responseMs);
    if (full && replyBytes) bytes(writer, MESSAGE.responseMessage, replyBytes);
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
