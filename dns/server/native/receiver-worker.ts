/**
 * A thread that receives the datagrams of one socket in batches, answers from the compiled table what it can, and
 * hands the rest to the ring. It sleeps in the kernel and nowhere else.
 */
import { systemClock } from '../../../src/base/clock.ts';
import { DatagramBatch } from '../../../src/net/native/datagram-batch.ts';
import { Gathering } from '../../../src/net/native/gathering.ts';
import { ThreadSeat } from '../../../src/net/native/thread-seat.ts';
import { PackedReader } from '../../cluster/table/packed-reader.ts';
import type { AskingClient } from '../../cluster/table/raw-question.ts';
import { NATIVE_BATCH, NATIVE_GATHERING, NATIVE_RECEIVE_BYTES, UDP_PAYLOAD_BYTES } from '../../limits.ts';
import { CookieMaker } from '../cookie-maker.ts';
import { type ReceiverData, type ReceiverTable, TOTAL } from './receiver-memory.ts';
import { SlowRing } from './slow-ring.ts';

type Seat = ThreadSeat<ReceiverData, ReceiverTable | undefined, null>;

class Receiver {
  readonly #seat: Seat;
  readonly #batch: DatagramBatch;
  readonly #ring: SlowRing;
  readonly #peerOf: readonly ((into: Uint8Array) => void)[];
  readonly #clientOf: readonly AskingClient[];
  readonly #gathering = new Gathering(NATIVE_GATHERING);
  #table: ReceiverTable | undefined;
  #reader: PackedReader | undefined;

  constructor(seat: Seat) {
    const { data } = seat;
    this.#seat = seat;
    this.#batch = new DatagramBatch(data.fd, {
      slots: NATIVE_BATCH,
      receiveBytes: NATIVE_RECEIVE_BYTES,
      sendBytes: UDP_PAYLOAD_BYTES,
      wildcard: data.wildcard,
    });
    this.#ring = new SlowRing(data.ring);
    // one of each a slot, made once: nothing is allocated for a datagram
    this.#clientOf = this.#batch.received.map((_bytes, slot) => new Asking(this.#batch, slot));
    this.#peerOf = this.#batch.received.map((_bytes, slot) => (into) => this.#batch.copyPeer(slot, into, 0));
  }

  run(): void {
    const seat = this.#seat;
    while (!seat.isStopped) {
      this.#gathering.pause();
      const count = this.#batch.receive();
      seat.beat();
      if (seat.hasNews) seat.read((table) => this.#use(table));
      if (count > 0) this.#answer(count);
    }
  }

  #answer(count: number): void {
    const startedMs = performance.now();
    const batch = this.#batch;
    const reader = this.#reader;
    let fast = 0;
    let wake = false;
    for (let slot = 0; slot < count; slot++) {
      const bytes = batch.received[slot]!;
      const length = Math.min(batch.lengthOf(slot), bytes.length);
      const size =
        batch.isCut(slot) || !reader ? 0 : reader.answer(bytes, length, batch.outgoing, this.#clientOf[slot]);
      if (size > 0) {
        batch.reply(slot, size);
        fast++;
      } else if (this.#ring.push(bytes, length, this.#peerOf[slot]!)) wake = true;
    }
    const refused = batch.flush();
    const { totals } = this.#seat.data;
    totals[TOTAL.RECEIVED]! += count;
    totals[TOTAL.FAST]! += fast;
    totals[TOTAL.SEND_ERRORS]! += refused;
    const nowMs = performance.now();
    if (reader?.settle((nowMs - startedMs) / 1000)) wake = true;
    if (wake) this.#seat.post(null);
    this.#gathering.took(count, nowMs);
  }

  #use(table: ReceiverTable | undefined): void {
    if (table && this.#reader && table.counts.buffer === this.#table?.counts.buffer)
      this.#reader.useBuffers(table.buffers);
    else this.#reader = table && readerOf(table);
    this.#table = table;
  }
}

function readerOf({ buffers, options, cookieSecret, counts, watched }: ReceiverTable): PackedReader {
  const cookies = new CookieMaker({ clock: systemClock }, cookieSecret);
  return new PackedReader(buffers, options, { cookies, counts, watched });
}

/** Who sent the datagram of a slot. */
class Asking implements AskingClient {
  readonly #batch: DatagramBatch;
  readonly #slot: number;

  constructor(batch: DatagramBatch, slot: number) {
    this.#batch = batch;
    this.#slot = slot;
  }

  get port(): number {
    return this.#batch.portOf(this.#slot);
  }

  get six(): boolean {
    return this.#batch.isSix(this.#slot);
  }

  writeAddress(into: Uint8Array): number {
    return this.#batch.copyAddress(this.#slot, into);
  }
}

new Receiver(ThreadSeat.take()).run();
