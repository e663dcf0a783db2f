import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import type { ServerProcess } from './process.ts';

const CLIENTS = 4;
const REQUESTS = 600;
/** Between two requests of a client: it is a calm one. */
const PAUSE_MS = 5;
const FLOOD_CLIENTS = 64;
/** A watch lasts a second, so so many begin each second, each with the whole list. */
const WATCH_CLIENTS = 512;

export type Flood = 'lists' | 'creates' | 'watches';

export interface CalmOptions {
  readonly token: string;
  /** GET of it and POST to its collection take turns. */
  readonly object: string;
  readonly collection: string;
}

/** p99 of a calm client's requests, GET and durable POST in turns, ms. */
export async function calmP99Ms(server: ServerProcess, options: CalmOptions): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS, ca: server.ca });
  const tookMs: number[] = [];
  const headers = { authorization: `Bearer ${options.token}`, 'content-type': 'application/json' };
  const once = (method: string, path: string, body?: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const sentAt = performance.now();
      const sent = request(`${server.url}${path}`, { method, headers, agent }, (reply) => {
        reply.on('data', () => {});
        reply.on('end', () => {
          tookMs.push(performance.now() - sentAt);
          if ((reply.statusCode ?? 500) < 300) resolve();
          else reject(new Error(`${method} ${path}: ${reply.statusCode}`));
        });
      });
      sent.on('error', reject);
      sent.end(body);
    });
  const body = JSON.stringify({ metadata: { generateName: 'calm-' }, data: { filler: 'x'.repeat(1_700) } });
  await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      for (let i = 0; i < REQUESTS / CLIENTS; i++) {
        if (i % 2 === 0) await once('GET', options.object);
        else await once('POST', options.collection, body);
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }),
  );
  agent.destroy();
  tookMs.sort((a, b) => a - b);
  return tookMs[Math.floor(tookMs.length * 0.99)] ?? 0;
}

/** Floods the server as one user until disposed. */
export function flood(server: ServerProcess, kind: Flood, token: string, list: string): AsyncDisposable {
  const clients = kind === 'watches' ? WATCH_CLIENTS : FLOOD_CLIENTS;
  const args = ['--h1', '-c', String(clients), '-t', '1', '-D', '120'];
  args.push('-H', `authorization: Bearer ${token}`);
  if (kind === 'creates') {
    const body = join(server.folder, 'flood.json');
    writeFileSync(
      body,
      JSON.stringify({ metadata: { generateName: 'flood-' }, data: { a: 'x'.repeat(1_700) } }),
    );
    args.push('-d', body, '-H', 'content-type: application/json');
  }
  const target = {
    lists: list,
    creates: '/api/v1/namespaces/default/configmaps',
    watches: `${list}?watch=true&timeoutSeconds=1`,
  }[kind];
  const child: ChildProcess = spawn('h2load', [...args, `${server.url}${target}`], { stdio: 'ignore' });
  return {
    async [Symbol.asyncDispose]() {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill();
      await gone;
    },
  };
}
