/**
 * A thread that receives the datagrams of one socket in batches, answers from the compiled table what it can, and
 * hands the rest to the ring. It sleeps in the kernel and nowhere else.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { DatagramBatch } from '../../../src/net/native/datagram-batch.ts';
import { PackedReader } from '../../cluster/table/packed-reader.ts';
import { NATIVE_BATCH, NATIVE_RECEIVE_BYTES, UDP_PAYLOAD_BYTES } from '../../limits.ts';
import { CONTROL, COUNT_NAMES, type ReceiverData, type ReceiverTable, TOTAL } from './receiver-memory.ts';
import { SlowRing } from './slow-ring.ts';

class Receiver {
  readonly #data: ReceiverData;
  readonly #batch: DatagramBatch;
  readonly #ring: SlowRing;
  readonly #peerOf: readonly ((into: Uint8Array) => void)[];
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
    // one closure a slot, made once: nothing is allocated for a datagram
    this.#peerOf = this.#batch.received.map((_bytes, slot) => (into) => this.#batch.copyPeer(slot, into, 0));
  }

  run(): void {
    const { control } = this.#data;
    while (Atomics.load(control, CONTROL.STOP) === 0) {
      const count = this.#batch.receive();
      Atomics.add(control, CONTROL.BEATS, 1);
      if (Atomics.load(control, CONTROL.NEWS) !== this.#news) this.#readNews();
      if (count > 0) this.#answer(count);
    }
  }

  #answer(count: number): void {
    const batch = this.#batch;
    const reader = this.#reader;
    let fast = 0;
    let wake = false;
    for (let slot = 0; slot < count; slot++) {
      const bytes = batch.received[slot]!;
      const length = Math.min(batch.lengthOf(slot), bytes.length);
      const size = batch.isCut(slot) ? 0 : (reader?.answer(bytes, length, batch.outgoing) ?? 0);
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
    if (fast > 0) this.#publish();
    if (wake) parentPort?.postMessage(null, []);
  }

  #publish(): void {
    const { counts } = this.#table!;
    const now = this.#reader!.counts;
    for (let i = 0; i < COUNT_NAMES.length; i++) counts[i] = now[COUNT_NAMES[i]!];
  }

  #readNews(): void {
    for (;;) {
      const received = receiveMessageOnPort(parentPort!);
      if (!received) return;
      this.#news++;
      const { news } = received.message as { readonly news: ReceiverTable | undefined };
      if (news && this.#reader && news.counts.buffer === this.#table?.counts.buffer) {
        this.#reader.useBuffers(news.buffers);
      } else this.#reader = news && new PackedReader(news.buffers, news.options);
      this.#table = news;
    }
  }
}

new Receiver(workerData as ReceiverData).run();
