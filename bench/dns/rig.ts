/** What the benchmarks of DNS share: the server under test, and what it is asked. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { reverseName, serviceName } from './cluster.ts';

/**
 * Names asked in an order without pattern.
 * - A: every one exists
 * - search: what a search path makes of names inside and outside of the cluster
 * - mixed: all that clients ask: A, AAAA, SRV of services and ports, PTR, names that do not exist, search paths
 */
export type Questions = 'A' | 'search' | 'mixed';

export function writeQuestions(path: string, kind: Questions, count: number): void {
  const lines = Array.from({ length: 100_000 }, (_, k) => {
    const i = Number((BigInt(k) * 7919n) % BigInt(count));
    const { namespace, name } = serviceName(i);
    const found = `${name}.${namespace}.svc.cluster.local`;
    if (kind === 'A') return `${found} A`;
    const mixed = [
      `_http._tcp.${found} SRV`,
      `${found} SRV`,
      `${reverseName(i)}.in-addr.arpa PTR`,
      `no-${name}.${namespace}.svc.cluster.local A`,
      `${name}.svc.cluster.local A`,
    ];
    const search = [
      `${found} A`,
      `${found} AAAA`,
      `www.example.org.${namespace}.svc.cluster.local A`,
      `www.example.org.svc.cluster.local A`,
      `www.example.org.cluster.local AAAA`,
    ];
    const all = kind === 'mixed' ? [...search, ...mixed] : search;
    return all[k % all.length]!;
  });
  writeFileSync(path, `${lines.join('\n')}\n`);
}

export type Engine = 'portable' | 'native';

/** Paths of PEM files. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/**
 * On one core, for each of the receivers; with certificate files it is asked over TLS. `log`: a line for the Corefile; what it writes
 * goes nowhere.
 */
export async function startServer(
  services: number,
  engine: Engine,
  receivers = 1,
  { tls, log = '' }: { readonly tls?: CertificateFiles; readonly log?: string } = {},
): Promise<{ child: ChildProcess; port: number }> {
  const script = new URL('./server.ts', import.meta.url).pathname;
  const cores = receivers === 1 ? '0' : `0-${receivers - 1}`;
  const files = [tls?.cert ?? '', tls?.key ?? '', log];
  const args = [script, services, 0, engine, receivers, ...files].map(String);
  const child = spawn('taskset', ['-c', cores, process.execPath, ...args], {
    stdio: ['ignore', 'pipe', log === '' ? 'inherit' : 'ignore'],
  });
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      const told = /"port":(\d+)/.exec(chunk.toString());
      if (told) resolve(Number(told[1]));
    });
    child.on('exit', (code) => reject(new Error(`weft ended with ${code}`)));
  });
  return { child, port };
}

/** Resolves when the first service's name is answered. */
export async function answering(port: number): Promise<void> {
  for (let i = 0; i < 100; i++) {
    try {
      const line = `${serviceName(0).name}.${serviceName(0).namespace}.svc.cluster.local`;
      const args = ['+short', '+time=1', '+tries=1', '-p', String(port), '@127.0.0.1', line];
      if (execFileSync('dig', args, { encoding: 'utf8' }).startsWith('10.')) return;
    } catch {
      // not yet
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`nothing answers on port ${port}`);
}

/** How many of the questions in a file dnsperf got answers to on its own core; `args` say over what, and how many at once. */
export function completed(
  port: number,
  questions: string,
  forSeconds: number,
  args: readonly string[],
): number {
  const fixed = ['-s', '127.0.0.1', '-p', String(port), '-d', questions, '-l', String(forSeconds), '-W'];
  const out = execFileSync('taskset', ['-c', '1', 'dnsperf', ...fixed, ...args], { encoding: 'utf8' });
  return Number(/Queries completed:\s+(\d+)/.exec(out)?.[1] ?? 0);
}
