/**
 * Keeps asking a URL, a new connection each time, one after the other in each of some clients; counts what failed. A
 * connection that was open when its address moved to another host is cut: at most one a client. Ends at SIGTERM.
 * Run: node http-client.ts URL CLIENTS
 */
import { get } from 'node:http';

const [url = '', clients = ''] = process.argv.slice(2);
/** Long: an opening packet that nobody answered is sent again after 1, 3 and 7 seconds. */
const FAILED_MS = 20_000;
const INTERVAL_MS = 20;

const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());

function ask(): Promise<string | undefined> {
  return new Promise((resolve) => {
    const request = get(url, { agent: false, timeout: FAILED_MS }, (response) => {
      response.resume().on('end', () => resolve(undefined));
      response.on('error', (error) => resolve(error.message));
    });
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', (error) => resolve(error.message));
  });
}

let asked = 0;
const failed: string[] = [];
async function askAll(): Promise<void> {
  while (!stop.signal.aborted) {
    asked++;
    const error = await ask();
    if (error !== undefined) failed.push(error);
    await new Promise((resolve) => setTimeout(resolve, INTERVAL_MS));
  }
}

await Promise.all(Array.from({ length: Number(clients) }, askAll));
process.stdout.write(`${JSON.stringify({ asked, failed })}\n`);
