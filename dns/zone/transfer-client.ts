import { randomInt } from 'node:crypto';
import { connect } from 'node:net';
import type { Clock } from '../../src/base/clock.ts';
import { Fault, messageOf } from '../../src/base/fault.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import type { Peer } from '../query.ts';
import { frame, FrameReader } from '../server/framing.ts';
import { decodeMessage } from '../wire/decode.ts';
import { encodeMessage } from '../wire/encode.ts';
import { queryMessage, type Message, type ResourceRecord, type TypedRecord } from '../wire/message.ts';
import type { TsigKey } from '../wire/tsig.ts';
import { TRANSFER_BYTES, TRANSFER_STALL_MS } from './limits.ts';
import { TransferReader, type Transfer } from './transfer-reader.ts';
import { TsigExchange } from './tsig-exchange.ts';

/** Where a zone is fetched from. */
export interface Primary extends Peer {
  /** Questions are signed with it and answers must be. */
  readonly key?: TsigKey | undefined;
}

interface Deps {
  readonly clock: Clock;
}

/** Fetches a whole zone (RFC 5936), the SOA once and first. Rejects with Fault TRANSFER_FAILED. */
export async function fetchZone(
  deps: Deps,
  from: Primary,
  zone: string,
  signal: AbortSignal,
): Promise<readonly ResourceRecord[]> {
  const reader = new TransferReader(zone, undefined);
  const request = queryMessage({ name: zone, type: 'AXFR', class: 'IN' }, { recursionDesired: false });
  await askTcp(deps, from, request, signal, ({ answers }) => reader.take(answers) || answers.length === 0);
  const result = reader.result();
  return result.kind === 'whole' ? result.records : [];
}

/** Fetches what has changed since a version (RFC 1995), or all of it. Rejects with Fault TRANSFER_FAILED. */
export async function fetchChanges(
  deps: Deps,
  from: Primary,
  soa: TypedRecord<'SOA'>,
  signal: AbortSignal,
): Promise<Transfer> {
  const reader = new TransferReader(soa.name.toLowerCase(), soa.data.serial);
  const question = { name: soa.name, type: 'IXFR', class: 'IN' } as const;
  const request = queryMessage(question, { recursionDesired: false, authorities: [soa] });
  await askTcp(deps, from, request, signal, ({ answers }) => reader.take(answers) || answers.length === 0);
  return reader.result();
}

/** The serial that a primary has. Rejects with Fault TRANSFER_FAILED. */
export async function fetchSerial(
  deps: Deps,
  from: Primary,
  zone: string,
  signal: AbortSignal,
): Promise<number> {
  let serial: number | undefined;
  const request = queryMessage({ name: zone, type: 'SOA', class: 'IN' }, { recursionDesired: false });
  await askTcp(deps, from, request, signal, (message) => {
    const soa = message.answers.find((record) => record.type === 'SOA');
    if (soa?.type === 'SOA') serial = soa.data.serial;
    return true;
  });
  if (serial === undefined) throw failed(from, zone, 'it says no SOA');
  return serial;
}

/** One question over TCP; `take` says when enough has come and may throw. */
function askTcp(
  { clock }: Deps,
  from: Primary,
  unnumbered: Message,
  signal: AbortSignal,
  take: (message: Message) => boolean,
): Promise<void> {
  const request = { ...unnumbered, id: randomInt(0x10000) };
  const zone = request.questions[0]!.name;
  const plain = encodeMessage(request);
  const nowSeconds = (): number => Math.floor(clock.nowMs() / 1000);
  const exchange = from.key && new TsigExchange(from.key, plain, nowSeconds);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: from.address, port: from.port });
    const frames = new FrameReader();
    let bytes = 0;
    let stall: Disposable | undefined;
    const finish = (error?: Error): void => {
      stall?.[Symbol.dispose]();
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      if (error) reject(error);
      else resolve();
    };
    const onAbort = (): void => finish(failed(from, zone, 'stopped'));
    const waitMore = (): void => {
      stall?.[Symbol.dispose]();
      stall = clock.setTimer(TRANSFER_STALL_MS, () => finish(failed(from, zone, 'it stopped half-way')));
    };
    signal.addEventListener('abort', onAbort, { once: true });
    waitMore();
    socket.on('connect', () => socket.write(frame(exchange?.question ?? plain)));
    socket.on('error', (error) => finish(failed(from, zone, error.message)));
    socket.on('close', () => finish(failed(from, zone, 'it closed the connection')));
    socket.on('data', (chunk: Uint8Array) => {
      waitMore();
      bytes += chunk.length;
      try {
        if (bytes > TRANSFER_BYTES) throw new Error(`more than ${TRANSFER_BYTES} bytes`);
        for (const each of frames.push(chunk)) {
          if (!take(read(each, request, exchange))) continue;
          if (exchange && !exchange.complete) throw new Error('the end of the answer is not signed');
          return finish();
        }
      } catch (error) {
        finish(failed(from, zone, messageOf(error)));
      }
    });
  });
}

function read(bytes: Uint8Array, request: Message, exchange: TsigExchange | undefined): Message {
  const decoded = decodeMessage(bytes);
  if (!decoded.ok) throw new Error(decoded.reason);
  const { message } = decoded;
  if (!message.response || message.id !== request.id) throw new Error('it answers another question');
  const doubt = exchange?.check(bytes, message);
  // Without a signature to believe, what it says is at least worth telling.
  if (message.rcode !== 'NOERROR') throw new Error(`it says ${message.rcode}`);
  if (doubt !== undefined) throw new Error(doubt);
  return message;
}

function failed(from: Peer, zone: string, reason: string): Fault {
  return new Fault('TRANSFER_FAILED', `${zone} from ${joinHostPort(from.address, from.port)}: ${reason}`);
}
