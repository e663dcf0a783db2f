/**
 * Constant load from inside the host under test, until SIGTERM, and until each was asked for more than LEAST times: DNS
 * lookups, requests by cluster IP (a connection each) and requests through the ingress (kept connections). Prints one
 * line of JSON: what was asked, what failed.
 * usage: constant-load.ts NAME URL INGRESS_URL LEAST
 */
import { isIP } from 'node:net';
import { createRequire } from 'node:module';
import { setTimeout as pause } from 'node:timers/promises';
import { Agent, request } from 'undici';

const PAUSE_MS = 5;
const REQUEST_DEADLINE_MS = 5000;
const ERRORS_KEPT = 5;

interface Tally {
  done: number;
  failed: number;
  slowestMs: number;
  readonly errors: string[];
}

interface Answer {
  readonly answers: readonly { readonly address?: string }[];
}

const { UDPClient } = createRequire(import.meta.url)('dns2') as {
  UDPClient: (options: { dns: string; port: number }) => (name: string, type: string) => Promise<Answer>;
};

const [name = '', url = '', ingressUrl = '', least = '0'] = process.argv.slice(2);
const stop = new AbortController();
process.once('SIGTERM', () => stop.abort());

async function loop(work: () => Promise<void>): Promise<Tally> {
  const tally: Tally = { done: 0, failed: 0, slowestMs: 0, errors: [] };
  while (!stop.signal.aborted || tally.done <= Number(least)) {
    const started = performance.now();
    try {
      await work();
    } catch (error) {
      tally.failed++;
      const at = new Date().toISOString();
      if (tally.errors.length < ERRORS_KEPT)
        tally.errors.push(`${at} ${error instanceof Error ? error.message : String(error)}`);
    }
    tally.done++;
    tally.slowestMs = Math.max(tally.slowestMs, Math.round(performance.now() - started));
    await pause(PAUSE_MS);
  }
  return tally;
}

async function get(address: string, dispatcher: Agent): Promise<void> {
  const { statusCode, body } = await request(address, {
    dispatcher,
    headersTimeout: REQUEST_DEADLINE_MS,
    bodyTimeout: REQUEST_DEADLINE_MS,
  });
  const text = await body.text();
  if (statusCode !== 200 || !text.includes('The shop'))
    throw new Error(`${statusCode}: ${text.slice(0, 80)}`);
}

const lookUp = UDPClient({ dns: '127.0.0.1', port: 10053 });
async function resolve(): Promise<void> {
  const { answers } = await lookUp(name, 'A');
  if (isIP(answers[0]?.address ?? '') !== 4) throw new Error(`no address: ${JSON.stringify(answers)}`);
}

const once = new Agent({ pipelining: 0 });
const kept = new Agent({
  connect: {
    rejectUnauthorized: false,
    lookup: (_host, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
  },
});
const [dns, clusterIP, ingress] = await Promise.all([
  loop(resolve),
  loop(() => get(url, once)),
  loop(() => get(ingressUrl, kept)),
]);
process.stdout.write(`${JSON.stringify({ dns, clusterIP, ingress })}\n`);
process.exit(0);
