import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { Clock } from '../../base/clock.ts';
import { Fault, messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import { ETCD_PROGRESS_INTERVAL_MS } from '../limits.ts';
import { STORE_CLOSED, STORE_UNAVAILABLE } from '../store.ts';
import type { StoreEvent, StoreWatchBatch } from '../store.ts';
import { compactedFault } from '../versions.ts';
import type { EtcdConnection } from './connection.ts';
import { prefixEnd, toNumber, WATCH } from './messages.ts';
import type { WatchResponse } from './messages.ts';
import type { KeySpace } from './key-space.ts';

export interface EtcdWatchDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly connection: EtcdConnection;
  readonly keys: KeySpace;
  /** The servers answer a request for progress only after the events before it. */
  readonly progressOnRequest: boolean;
  /** Hears of compactions that others made. */
  readonly onCompacted: (revision: number) => void;
}

type Stream = ClientDuplexStream<object, WatchResponse>;

/**
 * One stream per watch. A stream that breaks is opened again, at another member, after the last revision that
 * was delivered whole; etcd never splits a revision over two responses, so nothing is lost or told twice.
 */
export async function* watchEtcd(
  deps: EtcdWatchDeps,
  prefix: string,
  fromRevision: number,
  signal: AbortSignal,
): AsyncGenerator<StoreWatchBatch> {
  const { connection, log } = deps;
  let place = fromRevision;
  for (let failures = 0; !signal.aborted;) {
    try {
      for await (const batch of oneStream(deps, prefix, place, signal)) {
        place = batch.revision;
        failures = 0;
        yield batch;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (connection.closing.aborted) throw new Fault(STORE_CLOSED, 'the store is closed');
      if (error instanceof Fault && error.code !== STORE_UNAVAILABLE) throw error;
      log.warn('etcd watch broken', { prefix, place, reason: messageOf(error) });
      connection.failOver(error);
    }
    if (!signal.aborted && failures++ > 0) await connection.pause(failures);
  }
}

async function* oneStream(
  deps: EtcdWatchDeps,
  prefix: string,
  place: number,
  signal: AbortSignal,
): AsyncGenerator<StoreWatchBatch> {
  const stream: Stream = await deps.connection.stream(WATCH);
  const cancel = (): void => stream.cancel();
  if (signal.aborted) cancel();
  signal.addEventListener('abort', cancel, { once: true });
  deps.connection.closing.addEventListener('abort', cancel, { once: true });
  const progress = deps.progressOnRequest ? askForProgress(deps.clock, stream) : undefined;
  try {
    const key = deps.keys.toBytes(prefix);
    // Starting at the place itself and not after it makes etcd check that the place is not compacted.
    const start_revision = Math.max(1, place);
    const request = { key, range_end: prefixEnd(key), start_revision, progress_notify: true, prev_kv: true };
    stream.write({ create_request: request });
    let told = place;
    for await (const response of stream as AsyncIterable<WatchResponse>) {
      const batch = batchOf(deps, response, told, place);
      if (!batch) continue;
      told = batch.revision;
      yield batch;
    }
  } finally {
    progress?.[Symbol.dispose]();
    signal.removeEventListener('abort', cancel);
    deps.connection.closing.removeEventListener('abort', cancel);
    stream.on('error', () => {}); // the cancellation itself
    cancel();
  }
}

function batchOf(
  deps: EtcdWatchDeps,
  response: WatchResponse,
  told: number,
  asked: number,
): StoreWatchBatch | undefined {
  if (response.canceled) throw cancelFault(deps, response, asked);
  if (response.created) return undefined;
  const events: StoreEvent[] = [];
  for (const { type, kv, prev_kv } of response.events) {
    const revision = toNumber(kv.mod_revision);
    if (revision <= told) continue;
    const previous = prev_kv ? deps.keys.toEntry(prev_kv) : undefined;
    if (type === 0) events.push({ type: 'put', entry: deps.keys.toEntry(kv), previous, revision });
    else if (previous) events.push({ type: 'delete', key: previous.key, previous, revision });
    else throw compactedFault(told, revision); // the value before was compacted while we were away
  }
  if (events.length > 0) return { events, revision: events.at(-1)!.revision };
  const revision = toNumber(response.header.revision);
  // Without events in the response this is a progress notice.
  return response.events.length === 0 && revision > told ? { events, revision } : undefined;
}

function cancelFault(deps: EtcdWatchDeps, response: WatchResponse, asked: number): Fault {
  const compacted = toNumber(response.compact_revision);
  if (compacted > 0) {
    deps.onCompacted(compacted);
    return compactedFault(asked, compacted);
  }
  return new Fault(STORE_UNAVAILABLE, `etcd ended the watch: ${response.cancel_reason || 'no reason given'}`);
}

function askForProgress(clock: Clock, stream: Stream): Disposable {
  let timer: Disposable;
  const arm = (): void => {
    timer = clock.setTimer(ETCD_PROGRESS_INTERVAL_MS, () => {
      stream.write({ progress_request: {} });
      arm();
    });
  };
  arm();
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
}
