import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import type { ServerProcess } from './process.ts';

const CLIENTS = 4;
const REQUESTS = 1_200;
/** Between two requests of a client: it is a calm one. */
const PAUSE_MS = 5;
const FLOOD_CLIENTS = 64;
/** A watch lasts a second, so so many begin each second, each with the whole list. */
const WATCH_CLIENTS = 512;

const MAPS = '/api/v1/namespaces/default/configmaps';
const CONNECT = new URL('connect.ts', import.meta.url).pathname;

/**
 * lists of 500 pods; creates of 2 KB; watches that begin with 500 pods, for a second each; 512 watches of what 64
 * clients create; a new TLS connection for each request.
 */
export type Flood = 'lists' | 'creates' | 'watches' | 'events' | 'connections';

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

/** Floods the server as one user until disposed. `list` is a collection of 500 pods. */
export function flood(server: ServerProcess, kind: Flood, token: string, list: string): AsyncDisposable {
  const children = commands(server, kind, token, list).map(([program, ...args]) =>
    // Behind the others, also when those run at real-time priority: its own use of this machine's cores is no part of
    // what is measured.
    spawn('chrt', ['-o', '0', 'nice', '-n', '19', program, ...args], { stdio: 'ignore' }),
  );
  return {
    async [Symbol.asyncDispose]() {
      await Promise.all(
        children.map(async (child) => {
          const gone = new Promise((resolve) => child.once('exit', resolve));
          child.kill();
          await gone;
        }),
      );
    },
  };
}

type Command = readonly [program: string, ...args: string[]];

function commands(server: ServerProcess, kind: Flood, token: string, list: string): Command[] {
  const load = (target: string, clients: number, ...more: string[]): Command => {
    const args = ['--h1', '-c', String(clients), '-t', '1', '-D', '240', ...more];
    return ['h2load', ...args, '-H', `authorization: Bearer ${token}`, `${server.url}${target}`];
  };
  const creates = load(MAPS, FLOOD_CLIENTS, '-d', createBody(server), '-H', 'content-type: application/json');
  const one = `${server.url}/api/v1/namespaces/default`;
  switch (kind) {
    case 'lists':
      return [load(list, FLOOD_CLIENTS)];
    case 'creates':
      return [creates];
    case 'watches':
      return [load(`${list}?watch=true&timeoutSeconds=1`, WATCH_CLIENTS)];
    case 'events':
      return [load(`${MAPS}?watch=true&resourceVersion=0&labelSelector=a!=b`, WATCH_CLIENTS), creates];
    case 'connections':
      return [[process.execPath, CONNECT, one, server.caFile(), token, String(FLOOD_CLIENTS)]];
  }
}

function createBody({ folder }: ServerProcess): string {
  const path = join(folder, 'flood.json');
  writeFileSync(
    path,
    JSON.stringify({ metadata: { generateName: 'flood-' }, data: { a: 'x'.repeat(1_700) } }),
  );
  return path;
}
