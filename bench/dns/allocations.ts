/**
 * Heap that answers of the table take, over ten million of every kind. Run: node bench/dns/allocations.ts [answers]
 */
import { heapBytesPerAnswer } from '../../test/dns/support/reader-load.ts';

/** One question in nine has a cookie, whose answer reads the clock: a number of 16 bytes. Nothing else is made. */
const BYTES_MAX = 2;

const answers = Number(process.argv[2] ?? 10_000_000);
const started = process.cpuUsage();
const bytes = heapBytesPerAnswer(300_000, answers);
const { user, system } = process.cpuUsage(started);
process.stdout.write('| answers | heap bytes an answer | CPU us an answer |\n| --- | --- | --- |\n');
process.stdout.write(`| ${answers} | ${bytes.toFixed(4)} | ${((user + system) / answers).toFixed(2)} |\n`);
if (bytes > BYTES_MAX) process.exitCode = 1;
