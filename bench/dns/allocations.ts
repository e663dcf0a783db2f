/**
 * Heap that answers of the table take, over ten million of every kind: of the table alone, and of a receiving thread of the native
 * engine that is asked over loopback, without and with a log of questions. Run: node bench/dns/allocations.ts [answers]
 */
import { heapBytesPerAnswer } from '../../test/dns/support/reader-load.ts';
import { receiverGrowth } from '../../test/dns/support/receiver-load.ts';

/** One question in nine has a cookie, whose answer reads the clock: a number of 16 bytes. Nothing else is made. */
const TABLE_BYTES_MAX = 2;
/** What it takes to be asked for the size of a thread's heap is in it; an object for each answer would be 24 bytes and more. */
const THREAD_BYTES_MAX = 8;
/** A thread reads the clock twice a batch, and takes a difference of it. */
const BATCH_BYTES_MAX = 96;
const WARM_UP = 300_000;

const answers = Number(process.argv[2] ?? 10_000_000);

function say(what: string, count: number, bytes: number, most: number, micros: number): void {
  process.stdout.write(
    `| ${what} | ${count} | ${bytes.toFixed(4)} (${most.toFixed(1)}) | ${micros.toFixed(2)} |\n`,
  );
  if (!(bytes <= most)) process.exitCode = 1;
}

async function microsEach(work: () => unknown): Promise<number> {
  const started = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(started);
  return (user + system) / answers;
}

process.stdout.write(
  '| what | answers | heap bytes an answer (limit) | CPU us an answer |\n| --- | --- | --- | --- |\n',
);
let bytes = 0;
const micros = await microsEach(() => (bytes = heapBytesPerAnswer(WARM_UP, answers)));
say('table', answers, bytes, TABLE_BYTES_MAX, micros);
for (const watched of [false, true]) {
  let growth = { bytesPerAnswer: Number.NaN, answers: 0, turns: 0 };
  const spent = await microsEach(
    async () => (growth = await receiverGrowth({ answers, warmUp: WARM_UP, watched })),
  );
  const what = watched ? 'thread and its client, all answers logged' : 'thread and its client';
  const most = THREAD_BYTES_MAX + (BATCH_BYTES_MAX * growth.turns) / growth.answers;
  say(what, growth.answers, growth.bytesPerAnswer, most, spent);
}
