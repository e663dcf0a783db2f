import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface LoadResult {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failed: number;
  /** CPU time of the server for one request, µs: steady where the rate is noisy. */
  readonly cpuMicros: number;
}

/** What is measured: its CPU time, and a folder for files of the load generator. */
interface Target {
  readonly folder: string;
  readonly url: string;
  cpuMs(): number;
}

interface Load {
  readonly path: string;
  readonly token?: string;
  readonly clients: number;
  /** A body makes it a POST: of JSON, or of bytes as one gRPC message over HTTP/2. */
  readonly body?: unknown;
  readonly requests: number;
}

/** Drives the server with h2load over TLS 1.3, HTTP/1.1 but for gRPC, one request in flight a client. */
export async function drive(server: Target, load: Load): Promise<LoadResult> {
  const log = join(server.folder, 'h2load.log');
  const body = join(server.folder, 'body.json');
  writeFileSync(log, '');
  const args = ['-c', String(load.clients), '-t', '1', `--log-file=${log}`];
  const isGrpc = load.body instanceof Uint8Array;
  if (!isGrpc) args.push('--h1');
  if (load.token) args.push('-H', `authorization: Bearer ${load.token}`);
  if (load.body !== undefined) {
    writeFileSync(body, load.body instanceof Uint8Array ? load.body : JSON.stringify(load.body));
    args.push('-d', body, '-H', `content-type: application/${isGrpc ? 'grpc' : 'json'}`);
  }
  args.push('-n', String(load.requests));
  const before = server.cpuMs();
  await run('h2load', [...args, `${server.url}${load.path}`]);
  const cpuMs = server.cpuMs() - before;
  // start µs, status, duration µs
  const lines = readFileSync(log, 'utf8').trimEnd().split('\n');
  const durations: number[] = [];
  let failed = 0;
  let [firstMicros, lastMicros] = [Infinity, 0];
  for (const line of lines) {
    const [start = 0, status = 0, micros = 0] = line.split('\t').map(Number);
    if (status < 200 || status >= 300) failed++;
    durations.push(micros / 1000);
    firstMicros = Math.min(firstMicros, start);
    lastMicros = Math.max(lastMicros, start + micros);
  }
  durations.sort((a, b) => a - b);
  const at = (share: number): number => durations[Math.floor(durations.length * share)] ?? 0;
  return {
    perSecond: ((durations.length - failed) / (lastMicros - firstMicros)) * 1e6,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    failed,
    cpuMicros: (cpuMs * 1000) / durations.length,
  };
}

function run(program: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    child.once('error', reject);
    child.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`${program} ended with ${code}`)),
    );
  });
}
