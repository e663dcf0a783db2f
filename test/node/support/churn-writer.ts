/**
 * Takes endpoints out of a slice and puts them back, at a steady rate, as a user of the API.
 * Run: node churn-writer.ts KUBECONFIG SLICE PORT_NAME PORT PROTOCOL SECONDS CHANGES_PER_SECOND ADDRESS...
 */
import { createApiClient } from '../../../src/api/client/api-client.ts';
import { loadKubeconfig } from '../../../src/api/client/kubeconfig.ts';
import { openHttpExchange } from '../../../src/api/client/open-exchange.ts';
import { resources } from '../../../src/api/client/resources.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { exec } from '../../../src/net/exec.ts';

const [kubeconfig = '', slices = '', seconds = '', rate = '', ...addresses] = process.argv.slice(2);
const access = await loadKubeconfig(kubeconfig);
await using open = openHttpExchange(access, { clock: systemClock, exec, env: process.env });
const client = createApiClient(open.exchange, { userAgent: 'churn' });
const names = slices.split(',');
const started = performance.now();
let changes = 0;
while (performance.now() - started < Number(seconds) * 1000) {
  // one always stays; the others go and come in turns
  const gone = addresses[1 + (Math.floor(changes / 2) % (addresses.length - 1))];
  const left = changes % 2 === 0 ? addresses.filter((address) => address !== gone) : addresses;
  const endpoints = left.map((address) => ({ addresses: [address], conditions: { ready: true } }));
  for (const name of names)
    await client.patch(resources.endpointSlices, name, 'default', 'merge', { endpoints });
  changes++;
  const dueMs = (changes / Number(rate)) * 1000 - (performance.now() - started);
  if (dueMs > 0) await new Promise((resolve) => setTimeout(resolve, dueMs));
}
process.stdout.write(`${JSON.stringify({ changes })}\n`);
