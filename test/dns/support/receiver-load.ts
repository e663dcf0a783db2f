import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import type { AnswerSummary } from '../../../dns/answer-summary.ts';
import { countsMemory } from '../../../dns/cluster/table/answer-counts.ts';
import { NATIVE_BATCH, NATIVE_RECEIVE_BYTES, SOCKET_BUFFER_BYTES } from '../../../dns/limits.ts';
import { type ReceiverData, type ReceiverTable, TOTAL } from '../../../dns/server/native/receiver-memory.ts';
import { slowRingMemory } from '../../../dns/server/native/slow-ring.ts';
import { WatchedAnswers } from '../../../dns/server/watched-answers.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { DatagramBatch, DatagramSender, PEER_BYTES } from '../../../src/net/native/datagram-batch.ts';
import { type DatagramSocket, openDatagramSocket } from '../../../src/net/native/datagram-socket.ts';
import { DescriptorTable } from '../../../src/net/native/descriptor-table.ts';
import { WakeUp } from '../../../src/net/native/event-fd.ts';
import { writeSocketAddress } from '../../../src/net/native/socket-address.ts';
import { SEAT, type SeatData } from '../../../src/net/native/thread-seat.ts';
import { loadNames, loadQuestions } from './reader-load.ts';

const HOST = '127.0.0.1';
/** Questions under way: less than the socket buffers hold. */
const WINDOW = 2 * NATIVE_BATCH;
/** So much young that little is collected while it is measured: what the heap grows by is what was made. */
const SEMI_SPACE_MB = 64;
/** Parts of the load, each measured alone: one in which something was collected after all counts for nothing. */
const PARTS = 20;
const RECEIVE_MS = 200;

export interface ReceiverLoad {
  readonly answers: number;
  readonly warmUp: number;
  /** Somebody is told of every answer. */
  readonly watched: boolean;
}

export interface ReceiverGrowth {
  /** Bytes of JavaScript heap of the receiving thread. */
  readonly bytesPerAnswer: number;
  readonly answers: number;
  /** Turns of the thread, in which it reads the clock: they take some bytes, however many are answered. */
  readonly turns: number;
}

/** A receiving thread of the native engine as it is, asked over loopback: what its heap grows by, the compiler of V8 apart. */
export async function receiverGrowth({ answers, warmUp, watched }: ReceiverLoad): Promise<ReceiverGrowth> {
  using names = loadNames();
  using server = open();
  using client = open();
  using wakeUp = WakeUp.open();
  let told = 0;
  const watcher = {
    policy: { names: [Uint8Array.of(0)], success: true, denial: true, oneIn: 1 },
    observe: (_answer: AnswerSummary) => void told++,
    missed: (count: number) => void (told += count),
  };
  const watching = watched ? new WatchedAnswers(systemClock, [watcher], 'udp') : undefined;
  const thread = startThread(server, wakeUp, {
    buffers: names.view.table.buffers,
    options: names.readerOptions,
    cookieSecret: new Uint8Array(16),
    counts: countsMemory(names.readerOptions.blockZones.length, true),
    watched: watching?.memory,
  });
  const load = new PingPong(client, server);
  const ask = async (count: number): Promise<void> => {
    const end = load.answers + count;
    while (load.answers < end) {
      load.turn(Math.min(end - load.answers, WINDOW * 64));
      watching?.drain();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  try {
    await ask(warmUp);
    const grown: number[] = [];
    const first = load.answers;
    const firstTurn = thread.turns();
    for (let part = 0; part < PARTS; part++) {
      const before = (await thread.worker.getHeapStatistics()).used_heap_size;
      const from = load.answers;
      await ask(Math.ceil(answers / PARTS));
      const { used_heap_size: after } = await thread.worker.getHeapStatistics();
      if (after >= before) grown.push((after - before) / (load.answers - from));
    }
    watching?.drain();
    if (watched && told < load.answers - WINDOW) throw new Error(`told of ${told} of ${load.answers}`);
    if (grown.length < PARTS / 2) throw new Error(`${PARTS - grown.length} parts of ${PARTS} tell nothing`);
    // the median: a part in which V8 compiles is no measure
    const bytesPerAnswer = grown.sort((a, b) => a - b)[grown.length >> 1] ?? Number.NaN;
    return { bytesPerAnswer, answers: load.answers - first, turns: thread.turns() - firstTurn };
  } finally {
    await thread.stop();
  }
}

function open(): DatagramSocket {
  return openDatagramSocket({
    address: HOST,
    port: 0,
    reusePort: false,
    bufferBytes: SOCKET_BUFFER_BYTES,
    receiveTimeoutMs: RECEIVE_MS,
  });
}

function startThread({ fd, wildcard }: DatagramSocket, wakeUp: WakeUp, table: ReceiverTable) {
  const words = new Int32Array(new SharedArrayBuffer(SEAT.WORDS * 4));
  const { memory } = DescriptorTable.sized(64);
  const seat: SeatData = { words, descriptors: memory, wakeFd: wakeUp.fd, cpu: undefined };
  const totals = new Float64Array(new SharedArrayBuffer(TOTAL.WORDS * 8));
  const data: ReceiverData = { fd, wildcard, totals, ring: slowRingMemory(64, NATIVE_RECEIVE_BYTES) };
  const module = new URL('../../../dns/server/native/receiver-worker.ts', import.meta.url);
  setFlagsFromString(`--min-semi-space-size=${SEMI_SPACE_MB}`);
  const resourceLimits = { maxYoungGenerationSizeMb: 3 * SEMI_SPACE_MB };
  const worker = new Worker(module, { workerData: { seat, data }, resourceLimits });
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  worker.postMessage(table, []);
  Atomics.add(words, SEAT.NEWS, 1);
  const stop = async (): Promise<void> => {
    Atomics.store(words, SEAT.STOP, 1);
    await ended;
  };
  return { worker, stop, turns: () => Atomics.load(words, SEAT.BEATS) };
}

/** A client that asks the next question for each answer. */
class PingPong {
  answers = 0;
  readonly #batch: DatagramBatch;
  readonly #sender: DatagramSender;
  readonly #server: Uint8Array;
  readonly #questions = loadQuestions();
  #asked = 0;

  constructor({ fd }: DatagramSocket, server: DatagramSocket) {
    const sizes = { receiveBytes: NATIVE_RECEIVE_BYTES, sendBytes: 512, wildcard: false };
    this.#batch = new DatagramBatch(fd, { slots: NATIVE_BATCH, ...sizes });
    this.#sender = new DatagramSender(fd, sizes);
    this.#server = new Uint8Array(PEER_BYTES);
    // as copyPeer writes it: its size stands behind name and control
    this.#server[PEER_BYTES - 8] = writeSocketAddress(server, this.#server);
  }

  /** Until so many more answers have come, or none comes any more: then all under way are lost, and are asked anew. */
  turn(answers: number): void {
    const end = this.answers + answers;
    while (this.answers < end) {
      const count = this.#batch.receive();
      if (count === 0) return this.#begin();
      for (let slot = 0; slot < count; slot++) {
        const question = this.#next();
        this.#batch.outgoing.set(question);
        this.#batch.reply(slot, question.length);
      }
      this.#batch.flush();
      this.answers += count;
    }
  }

  #begin(): void {
    for (let i = 0; i < WINDOW; i++) this.#sender.send(this.#next(), this.#server);
  }

  #next(): Uint8Array {
    return this.#questions[this.#asked++ % this.#questions.length]!;
  }
}
