/**
 * A thread that receives the datagrams of one socket in batches, answers from the compiled table what it can, and
 * hands the rest to the ring. It sleeps in the kernel and nowhere else.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../../src/base/clock.ts';
import { messageOf } from '../../../src/base/fault.ts';
import { pinThread } from '../../../src/net/native/cpu-affinity.ts';
import { DatagramBatch } from '../../../src/net/native/datagram-batch.ts';
import { PackedReader } from '../../cluster/table/packed-reader.ts';
import type { AskingClient } from '../../cluster/table/raw-question.ts';
import { NATIVE_BATCH, NATIVE_RECEIVE_BYTES, UDP_PAYLOAD_BYTES } from '../../limits.ts';
import { CookieMaker } from '../cookie-maker.ts';
import { CONTROL, type ReceiverData, type ReceiverTable, TOTAL } from './receiver-memory.ts';
import { SlowRing } from './slow-ring.ts';

class Receiver {
  readonly #data: ReceiverData;
  readonly #batch: DatagramBatch;
  readonly #ring: SlowRing;
  readonly #peerOf: readonly ((into: Uint8Array) => void)[];
  readonly #clientOf: readonly AskingClient[];
  #table: ReceiverTable | undefined;
  #reader: PackedReader | undefined;
  #news = 0;

  constructor(data: ReceiverData) {
    this.#data = data;
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
    const { control } = this.#data;
    this.#pin();
    parentPort?.postMessage(null, []); // it receives from now on
    while (Atomics.load(control, CONTROL.STOP) === 0) {
      const count = this.#batch.receive();
      Atomics.add(control, CONTROL.BEATS, 1);
      if (Atomics.load(control, CONTROL.NEWS) !== this.#news) this.#readNews();
      if (count > 0) this.#answer(count);
    }
  }

  /** A processor that is not to be had is told of, no more: any other answers too. */
  #pin(): void {
    try {
      if (this.#data.cpu !== undefined) pinThread(this.#data.cpu);
    } catch (error) {
      parentPort?.postMessage(messageOf(error), []);
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
    const { totals } = this.#data;
    totals[TOTAL.RECEIVED]! += count;
    totals[TOTAL.FAST]! += fast;
    totals[TOTAL.SEND_ERRORS]! += refused;
    reader?.counts.settle((performance.now() - startedMs) / 1000);
    if (wake) parentPort?.postMessage(null, []);
  }

  #readNews(): void {
    for (;;) {
      const received = receiveMessageOnPort(parentPort!);
      if (!received) return;
      this.#news++;
      const { news } = received.message as { readonly news: ReceiverTable | undefined };
      if (news && this.#reader && news.counts.buffer === this.#table?.counts.buffer) {
        this.#reader.useBuffers(news.buffers);
      } else this.#reader = news && readerOf(news);
      this.#table = news;
    }
  }
}

function readerOf({ buffers, options, cookieSecret, counts }: ReceiverTable): PackedReader {
  const cookies = new CookieMaker({ clock: systemClock }, cookieSecret);
  return new PackedReader(buffers, options, { cookies, counts });
}

/** Who sent the datagram of a slot. */
class Asking implements AskingClient {
  readonly #batch: DatagramBatch;
  readonly #slot: number;

  constructor(batch: DatagramBatch, slot: number) {
    this.#batch = batch;
    this.#slot = slot;
  }

  get six(): boolean {
    return this.#batch.isSix(this.#slot);
  }

  writeAddress(into: Uint8Array): number {
    return this.#batch.copyAddress(this.#slot, into);
  }
}

new Receiver(workerData as ReceiverData).run();
