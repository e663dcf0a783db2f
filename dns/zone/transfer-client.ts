import { randomInt } from 'node:crypto';
import { connect } from 'node:net';
import type { Clock } from '../../src/base/clock.ts';
import { Fault } from '../../src/base/fault.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import type { Peer } from '../plugin.ts';
import { frame, FrameReader } from '../server/framing.ts';
import { decodeMessage } from '../wire/decode.ts';
import { encodeMessage } from '../wire/encode.ts';
import { queryMessage, type Message, type ResourceRecord } from '../wire/message.ts';
import { foldName } from '../wire/name.ts';
import type { RecordType } from '../wire/numbers.ts';
import { TRANSFER_BYTES, TRANSFER_STALL_MS, ZONE_RECORDS } from './limits.ts';

/** Fetches a whole zone (RFC 5936), the SOA once and first. Rejects with Fault TRANSFER_FAILED. */
export async function fetchZone(
  deps: { readonly clock: Clock },
  from: Peer,
  zone: string,
  signal: AbortSignal,
): Promise<readonly ResourceRecord[]> {
  const records: ResourceRecord[] = [];
  let ended = false;
  await askTcp(deps, from, { zone, type: 'AXFR' }, signal, (message) => {
    for (const record of message.answers) {
      const isSoa = record.type === 'SOA' && foldName(record.name) === zone;
      if (records.length === 0 && !isSoa) throw failed(from, zone, 'it does not start with the SOA');
      if (records.length > 0 && isSoa) ended = true;
      else records.push(record);
    }
    if (records.length > ZONE_RECORDS) throw failed(from, zone, `more than ${ZONE_RECORDS} records`);
    return ended || records.length === 0;
  });
  if (!ended) throw failed(from, zone, 'nothing came');
  return records;
}

/** The serial that a primary has. Rejects with Fault TRANSFER_FAILED. */
export async function fetchSerial(
  deps: { readonly clock: Clock },
  from: Peer,
  zone: string,
  signal: AbortSignal,
): Promise<number> {
  let serial: number | undefined;
  await askTcp(deps, from, { zone, type: 'SOA' }, signal, (message) => {
    const soa = message.answers.find((record) => record.type === 'SOA');
    if (soa?.type === 'SOA') serial = soa.data.serial;
    return true;
  });
  if (serial === undefined) throw failed(from, zone, 'it says no SOA');
  return serial;
}

/** One question over TCP; `take` says when enough has come and may throw. */
function askTcp(
  { clock }: { readonly clock: Clock },
  from: Peer,
  { zone, type }: { readonly zone: string; readonly type: RecordType },
  signal: AbortSignal,
  take: (message: Message) => boolean,
): Promise<void> {
  const id = randomInt(0x10000);
  const request = queryMessage({ name: zone, type, class: 'IN' }, { id, recursionDesired: false });
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
    socket.on('connect', () => socket.write(frame(encodeMessage(request))));
    socket.on('error', (error) => finish(failed(from, zone, error.message)));
    socket.on('close', () => finish(failed(from, zone, 'it closed the connection')));
    socket.on('data', (chunk: Uint8Array) => {
      waitMore();
      bytes += chunk.length;
      try {
        if (bytes > TRANSFER_BYTES) throw failed(from, zone, `more than ${TRANSFER_BYTES} bytes`);
        for (const message of frames.push(chunk)) {
          if (take(read(message, from, zone, id))) return finish();
        }
      } catch (error) {
        finish(error as Error);
      }
    });
  });
}

function read(bytes: Uint8Array, from: Peer, zone: string, id: number): Message {
  const decoded = decodeMessage(bytes);
  if (!decoded.ok) throw failed(from, zone, decoded.reason);
  const { message } = decoded;
  if (!message.response || message.id !== id) throw failed(from, zone, 'it answers another question');
  if (message.rcode !== 'NOERROR') throw failed(from, zone, `it says ${message.rcode}`);
  return message;
}

function failed(from: Peer, zone: string, reason: string): Fault {
  return new Fault('TRANSFER_FAILED', `${zone} from ${joinHostPort(from.address, from.port)}: ${reason}`);
}

/** True when serial a is newer than b (RFC 1982). */
export function isNewerSerial(a: number, b: number): boolean {
  return a !== b && (a - b) >>> 0 < 0x80000000;
}
