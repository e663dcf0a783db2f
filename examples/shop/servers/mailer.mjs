// A worker without a port: looks at the prices now and then and writes down that it is alive.
import { writeFile } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';

const api = process.env.API_URL;
const alive = process.env.ALIVE_FILE ?? 'alive';
const everyMs = Number(process.env.INTERVAL_SECONDS ?? 30) * 1000;
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());

while (!stop.signal.aborted) {
  try {
    const answer = await fetch(`${api}/api/products`, { signal: AbortSignal.timeout(2000) });
    const { products } = await answer.json();
    console.log(`newsletter with ${products.length} offers is ready`);
  } catch (error) {
    console.error(`no offers: ${error.cause?.message ?? error.message}`);
  }
  await writeFile(alive, new Date().toISOString());
  await wait(everyMs, undefined, { signal: stop.signal }).catch(() => {});
}
console.log('mailer is done');
