/**
 * Heap that requests of the native engine take, ten million by default: clients, the engine's fast path and the endpoints
 * run in one loop by system calls. Run: node bench/ingress/allocations.ts [requests]
 */
import {
  type ChainExchange,
  composedExchanges,
  FastChain,
  plainExchanges,
} from '../../test/ingress/native/support/fast-chain.ts';
import { heapBytesAnOperation } from '../../test/support/heap-growth.ts';

/** Until V8 has compiled what it will. */
const WARM_UP = 50_000;
const CLIENTS = 16;
const ENDPOINTS = 3;
/** The loop reads its clock once a turn: a number of 16 bytes. One object would be more than this. */
const PLAIN_BYTES_MAX = 24;
/** A composed request is read into objects and written from them: its fields, their values, two heads. */
const COMPOSED_BYTES_MAX = 9_000;

const requests = Number(process.argv[2] ?? 10_000_000);
const rows: readonly (readonly [what: string, exchange: ChainExchange, bytesMax: number])[] = [
  ...Object.entries(plainExchanges).map(([what, exchange]) => [what, exchange, PLAIN_BYTES_MAX] as const),
  ...Object.entries(composedExchanges).map(([what, each]) => [what, each, COMPOSED_BYTES_MAX] as const),
];
const each = Math.ceil(requests / rows.length);
process.stdout.write(
  '| requests | what | heap bytes a request | CPU us a request, client and endpoint included |\n',
);
process.stdout.write('| --- | --- | --- | --- |\n');
for (const [what, exchange, bytesMax] of rows) {
  using chain = new FastChain(exchange, CLIENTS, ENDPOINTS);
  chain.exchange(WARM_UP);
  const started = process.cpuUsage();
  const bytes = heapBytesAnOperation(each, () => chain.exchange(each));
  const { user, system } = process.cpuUsage(started);
  const cpu = ((user + system) / each).toFixed(2);
  process.stdout.write(`| ${each} | ${what} | ${bytes.toFixed(2)} | ${cpu} |\n`);
  if (!(bytes < bytesMax)) process.exitCode = 1;
}
