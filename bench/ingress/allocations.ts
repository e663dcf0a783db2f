/**
 * Heap that requests of the native engine take, ten million by default: clients, the engine's fast path and the endpoints
 * run in one loop by system calls. Run: node bench/ingress/allocations.ts [requests]
 */
import { chainExchanges, FastChain } from '../../test/ingress/native/support/fast-chain.ts';
import { heapBytesAnOperation } from '../../test/support/heap-growth.ts';

/** Until V8 has compiled what it will. */
const WARM_UP = 50_000;
const CLIENTS = 16;
const ENDPOINTS = 3;
/** The loop reads its clock twice a turn: a number of 16 bytes. One object would be more than this. */
const BYTES_MAX = 24;

const requests = Number(process.argv[2] ?? 10_000_000);
const each = Math.ceil(requests / Object.keys(chainExchanges).length);
process.stdout.write(
  '| requests | what | heap bytes a request | CPU us a request, client and endpoint included |\n',
);
process.stdout.write('| --- | --- | --- | --- |\n');
for (const [what, exchange] of Object.entries(chainExchanges)) {
  using chain = new FastChain(exchange, CLIENTS, ENDPOINTS);
  chain.exchange(WARM_UP);
  const started = process.cpuUsage();
  const bytes = heapBytesAnOperation(each, () => chain.exchange(each));
  const { user, system } = process.cpuUsage(started);
  const cpu = ((user + system) / each).toFixed(2);
  process.stdout.write(`| ${each} | ${what} | ${bytes.toFixed(2)} | ${cpu} |\n`);
  if (!(bytes < BYTES_MAX)) process.exitCode = 1;
}
