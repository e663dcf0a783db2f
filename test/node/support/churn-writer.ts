/**
 * Takes endpoints out of slices and puts them back, at a steady rate, as users of the API: a change is one patch of
 * one slice, and the next one does not wait for its answer. Ends at SIGTERM.
 * Run: node churn-writer.ts KUBECONFIG SLICE,... CHANGES_PER_SECOND ADDRESS...
 */
import { createApiClient } from '../../../src/api/client/api-client.ts';
import { loadKubeconfig } from '../../../src/api/client/kubeconfig.ts';
import { openHttpExchange } from '../../../src/api/client/open-exchange.ts';
import { resources } from '../../../src/api/client/resources.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { messageOf } from '../../../src/base/fault.ts';
import { exec } from '../../../src/net/exec.ts';

/** Patches under way; beyond that the server sets the pace. */
const UNDER_WAY_MAX = 32;

const [kubeconfig = '', slices = '', rate = '', ...addresses] = process.argv.slice(2);
const access = await loadKubeconfig(kubeconfig);
await using open = openHttpExchange(access, { clock: systemClock, exec, env: process.env });
const client = createApiClient(open.exchange, { userAgent: 'churn' });
const names = slices.split(',');
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());

/** The n-th state of a slice: one endpoint always stays, the others go and come in turns. */
function endpointsAt(change: number): readonly unknown[] {
  const gone = addresses[1 + (Math.floor(change / 2) % (addresses.length - 1))];
  const left = change % 2 === 0 ? addresses.filter((address) => address !== gone) : addresses;
  return left.map((address) => ({ addresses: [address], conditions: { ready: true } }));
}

const underWay = new Set<Promise<unknown>>();
const started = performance.now();
let changes = 0;
const refused: string[] = [];
for (let next = 0; !stop.signal.aborted; next++) {
  const name = names[next % names.length] ?? '';
  const endpoints = endpointsAt(Math.floor(next / names.length));
  const patch = client
    .patch(resources.endpointSlices, name, 'default', 'merge', { endpoints })
    .then(() => changes++)
    .catch((error: unknown) => refused.push(messageOf(error)))
    .finally(() => underWay.delete(patch));
  underWay.add(patch);
  if (underWay.size >= UNDER_WAY_MAX) await Promise.race(underWay);
  const dueMs = ((next + 1) / Number(rate)) * 1000 - (performance.now() - started);
  if (dueMs > 0) await new Promise((resolve) => setTimeout(resolve, dueMs));
}
await Promise.all(underWay);
const seconds = (performance.now() - started) / 1000;
process.stdout.write(`${JSON.stringify({ changes, refused, seconds })}\n`);
