/**
 * CPU per query of DNS over TLS (RFC 7858): the native engine beside the portable one and NSD, one core each for server and
 * client, in one run; over kept connections, and for a full handshake (ECDSA P-256, TLS 1.3).
 * Run: node bench/dns/tls.ts [seconds] [services] [rounds]
 */
import { execFileSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { peers, writeZones } from './peers.ts';
import { treeCpuSeconds } from '../processes.ts';
import { answering, completed, startServer, writeQuestions } from './rig.ts';
import { median } from '../quantiles.ts';

const [seconds = 4, services = 10_000, rounds = 3] = process.argv.slice(2).map(Number);
const CLIENTS = 16;
/** Handshakes of a round. */
const HANDSHAKES = 400;
const folder = mkdtempSync(join(tmpdir(), 'weft-bench-'));
const questions = join(folder, 'questions');
const pair = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
const children: ChildProcess[] = [];

interface Served {
  readonly name: string;
  readonly pid: number;
  readonly port: number;
  readonly queryMicroseconds: number[];
  readonly handshakeMicroseconds: number[];
}

function writeCertificate(): void {
  const words =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost';
  execFileSync('openssl', [...words.split(' '), '-out', pair.cert, '-keyout', pair.key], { stdio: 'ignore' });
}

function served(name: string, child: ChildProcess, port: number): Served {
  children.push(child);
  return { name, pid: child.pid!, port, queryMicroseconds: [], handshakeMicroseconds: [] };
}

function perf(port: number, forSeconds: number): number {
  return completed(port, questions, forSeconds, ['-m', 'dot', '-c', String(CLIENTS), '-q', '64']);
}

/** One connection after the other, each of a full handshake. */
async function shakeHands(port: number, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await new Promise<void>((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => socket.end());
      socket.on('error', reject);
      socket.on('close', () => resolve());
    });
  }
}

async function cpuOf(server: Served, work: () => number | Promise<number>): Promise<number> {
  const before = treeCpuSeconds(server.pid);
  const done = await work();
  return ((treeCpuSeconds(server.pid) - before) / done) * 1e6;
}

async function startAll(): Promise<Served[]> {
  const all: Served[] = [];
  for (const engine of ['native', 'portable'] as const) {
    const { child, port } = await startServer(services, engine, 1, { tls: pair });
    all.push(served(`weft ${engine}`, child, port));
  }
  const nsd = peers(pair).find(({ name }) => name === 'nsd');
  if (nsd) {
    writeZones(folder, services);
    all.push(served('nsd', nsd.start(folder), nsd.tlsPort));
    await answering(nsd.port);
  }
  return all;
}

try {
  writeCertificate();
  writeQuestions(questions, 'A', services);
  const all = await startAll();
  for (const { port } of all) perf(port, 2); // once unmeasured: the compiler of V8 has to see it
  for (let round = 0; round < rounds; round++) {
    for (const server of all) {
      server.queryMicroseconds.push(await cpuOf(server, () => perf(server.port, seconds)));
      const shaken = await cpuOf(server, async () => {
        await shakeHands(server.port, HANDSHAKES);
        return HANDSHAKES;
      });
      server.handshakeMicroseconds.push(shaken);
    }
  }
  process.stdout.write(
    '| what | CPU us/query | CPU us/handshake | native : it | handshakes, native : it |\n',
  );
  process.stdout.write('| --- | --- | --- | --- | --- |\n');
  const [native] = all;
  for (const { name, queryMicroseconds, handshakeMicroseconds } of all) {
    const [query, handshake] = [median(queryMicroseconds), median(handshakeMicroseconds)];
    const ratios = [
      median(native!.queryMicroseconds) / query,
      median(native!.handshakeMicroseconds) / handshake,
    ];
    const cells = [query.toFixed(2), handshake.toFixed(0), ...ratios.map((ratio) => ratio.toFixed(2))];
    process.stdout.write(`| ${name} | ${cells.join(' | ')} |\n`);
  }
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
}
