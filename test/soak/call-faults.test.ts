/**
 * What the kernel may answer to any call, given by strace to the calls of one native thread of a real process: service
 * goes on, what cannot be hidden is in the log once, and no descriptor stays.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { frame } from '../../dns/server/framing.ts';
import { encodeMessage } from '../../dns/wire/encode.ts';
import { questionOf } from '../dns/support/server.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Address, SoakWorld, type WeftCommand } from './soak-world.ts';

const PATIENCE_MS = 90_000;
const ASKED = 12;
/** Of a thread's name, as the kernel keeps it. */
const COMM_LENGTH = 15;
const canTrace = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0;

type Service = 'dns udp' | 'dns tcp' | 'ingress' | 'proxy' | 'proxy udp';

let world: SoakWorld;
beforeAll(async () => {
  world = await SoakWorld.open();
  for (const service of Object.keys(THREADS) as Service[]) await asked(service);
}, 240_000);
afterAll(() => world[Symbol.asyncDispose](), 60_000);

/** Which process and thread of it serves. */
const THREADS = {
  'dns udp': [0, 'dns receiver'],
  'dns tcp': [0, 'dns stream thread'],
  ingress: [1, 'ingress worker'],
  proxy: [2, 'relay'],
  'proxy udp': [2, 'relay'],
} as const satisfies Record<Service, readonly [number, string]>;

function processOf(service: Service): WeftCommand {
  return world.processes[THREADS[service][0]]!;
}

function threadOf(service: Service): string {
  const comm = THREADS[service][1].slice(0, COMM_LENGTH);
  const tasks = `/proc/${processOf(service).pid}/task`;
  const found = readdirSync(tasks).find((id) => readFileSync(`${tasks}/${id}/comm`, 'utf8').trim() === comm);
  if (found === undefined) throw new Error(`no thread ${comm}`);
  return found;
}

const QUESTION = encodeMessage(questionOf('echo.shop.svc.cluster.local A'));

/** One question on a connection of its own; true when the answer is right. */
async function asked(service: Service): Promise<boolean> {
  switch (service) {
    case 'dns udp':
      return (await toldByDatagram(world.dns, QUESTION)).readUInt16BE(6) === 1;
    case 'dns tcp':
      return (await told(world.dns, frame(QUESTION), 14)).readUInt16BE(8) === 1;
    case 'ingress': {
      const request = 'GET / HTTP/1.1\r\nHost: soak.test\r\nConnection: close\r\n\r\n';
      return (await told(world.http, Buffer.from(request), 512)).toString().startsWith('HTTP/1.1 200');
    }
    case 'proxy':
      return (await told(world.tcp, Buffer.from('there and back'), 14)).toString() === 'there and back';
    case 'proxy udp':
      return (await toldByDatagram(world.tcp, Buffer.from('there and back'))).toString() === 'there and back';
  }
}

/** What comes back, as soon as it is so much. */
function told({ host, port }: Address, bytes: Uint8Array, enough: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ host, port });
    let heard = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      heard = Buffer.concat([heard, chunk]);
      if (heard.length < enough) return;
      socket.destroy();
      resolve(heard);
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`closed after ${heard.length} bytes`)));
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('no answer in time')));
    socket.write(bytes);
  });
}

/** Asks again each second, as resolvers do. */
function toldByDatagram({ host, port }: Address, bytes: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    const ask = (): void => socket.send(bytes, port, host);
    const again = setInterval(ask, 1_000);
    const late = setTimeout(() => end(() => reject(new Error('no answer in time'))), PATIENCE_MS);
    const end = (how: () => void): void => {
      clearInterval(again);
      clearTimeout(late);
      socket.close();
      how();
    };
    socket.once('message', (reply) => end(() => resolve(reply)));
    ask();
  });
}

/** One that fails is asked again, as clients do. */
async function askedUntilRight(service: Service): Promise<void> {
  await waitFor(`an answer by ${service}`, () => asked(service).catch(() => false), PATIENCE_MS);
}

/** strace changes the results of a thread's calls until it is disposed. */
class Injection implements AsyncDisposable {
  readonly #tracer: ChildProcess;
  readonly #ended: Promise<unknown>;
  #text = '';

  private constructor(thread: string, inject: string) {
    const call = inject.slice(0, inject.indexOf(':'));
    const args = ['-p', thread, '-e', `trace=${call}`, '-e', `inject=${inject}`];
    this.#tracer = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#tracer.stderr?.on('data', (chunk: Buffer) => (this.#text += chunk.toString()));
    this.#ended = new Promise((resolve) => this.#tracer.on('exit', resolve));
  }

  static async into(thread: string, inject: string): Promise<Injection> {
    const injection = new Injection(thread, inject);
    await waitFor('strace', () => injection.#text.includes('attached'), PATIENCE_MS);
    return injection;
  }

  /** How many calls were changed. */
  get count(): number {
    return this.#text.split('INJECTED').length - 1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#tracer.kill('SIGINT');
    await this.#ended;
  }
}

/** How many calls FIRST[..LAST[+STEP]] means. */
function changes(inject: string): number {
  const found = /when=(\d+)(?:\.\.(\d+))?(?:\+(\d+))?$/.exec(inject) ?? [];
  const first = Number(found[1] ?? 1);
  const last = Number(found[2] ?? first);
  return Math.floor((last - first) / Number(found[3] ?? 1)) + 1;
}

interface Fault {
  readonly service: Service;
  /** strace's inject expression. */
  readonly inject: string;
  /** Clients have to ask again. */
  readonly isSeen?: boolean;
  /** In the process's log. */
  readonly log?: string;
  /** A series of its metrics that grows. */
  readonly counted?: string;
}

const FAULTS: readonly Fault[] = [
  { service: 'dns udp', inject: 'recvmmsg:error=EINTR:when=1..9+2' },
  { service: 'dns udp', inject: 'sendmmsg:error=EINTR:when=1..9+2' },
  {
    service: 'dns udp',
    inject: 'sendmmsg:error=ENOBUFS:when=1..3',
    counted: 'weft_engine_send_errors_total{worker="dns receiver"}',
  },
  {
    service: 'dns udp',
    inject: 'recvmmsg:error=ENOMEM:when=2',
    log: 'dns receiver started anew',
    counted: 'weft_engine_worker_restarts_total{worker="dns receiver"}',
  },
  { service: 'dns tcp', inject: 'epoll_wait:error=EINTR:when=1..9+2' },
  { service: 'dns tcp', inject: 'accept4:error=ECONNABORTED:when=1..9+2' },
  {
    service: 'dns tcp',
    inject: 'accept4:error=EMFILE:when=1..3',
    log: 'accept failed',
    counted: 'weft_engine_accept_failures_total{worker="dns stream thread",errno="EMFILE"}',
  },
  { service: 'dns tcp', inject: 'recvfrom:error=ECONNRESET:when=1..3', isSeen: true },
  { service: 'dns tcp', inject: 'sendto:error=EAGAIN:when=1..9+2' },
  { service: 'ingress', inject: 'epoll_wait:error=EINTR:when=1..9+2' },
  { service: 'ingress', inject: 'accept4:error=ECONNABORTED:when=1..9+2' },
  {
    service: 'ingress',
    inject: 'accept4:error=ENOBUFS:when=1..3',
    log: 'accept failed',
    counted: 'weft_engine_accept_failures_total{worker="ingress worker",errno="ENOBUFS"}',
  },
  { service: 'ingress', inject: 'recvfrom:error=ECONNRESET:when=2..4', isSeen: true },
  { service: 'proxy', inject: 'epoll_wait:error=EINTR:when=1..9+2' },
  { service: 'proxy', inject: 'accept4:error=ECONNABORTED:when=1..9+2' },
  {
    service: 'proxy',
    inject: 'accept4:error=ENFILE:when=1..3',
    log: 'accept failed',
    counted: 'weft_engine_accept_failures_total{worker="relay",errno="ENFILE"}',
  },
  { service: 'proxy', inject: 'socket:error=EMFILE:when=1..2' },
  { service: 'proxy', inject: 'connect:error=ENOBUFS:when=1..2' },
  { service: 'proxy', inject: 'recvfrom:error=ECONNRESET:when=1..3', isSeen: true },
  ...['ENOBUFS', 'EPERM', 'ECONNREFUSED', 'ENETUNREACH'].map((errno) => ({
    service: 'proxy udp' as const,
    inject: `sendmmsg:error=${errno}:when=1..5+2`,
    counted: 'weft_engine_send_errors_total{worker="relay"}',
  })),
  { service: 'proxy udp', inject: 'recvmmsg:error=ENOMEM:when=2..4' },
];

describe.skipIf(!canTrace)('a thread whose calls fail', { timeout: 240_000 }, () => {
  test.each(FAULTS)('$service: $inject', async ({ service, inject, isSeen, log, counted }) => {
    const command = processOf(service);
    expect(await asked(service)).toBe(true); // what is kept for the next is there
    const before = command.descriptors;
    const from = command.output.length;
    const countBefore = counted === undefined ? 0 : await command.counted(counted);
    {
      await using injection = await Injection.into(threadOf(service), inject);
      for (let i = 0; i < ASKED; i++) {
        if (isSeen || log !== undefined) await askedUntilRight(service);
        else expect(await asked(service)).toBe(true);
      }
      // a tracer that leaves in the middle of a change leaves ENOSYS behind
      await waitFor('every change', () => injection.count >= changes(inject), PATIENCE_MS);
    }
    expect(await asked(service)).toBe(true);
    // a flow of datagrams keeps its own until it has been idle for a minute
    const flows = service === 'proxy udp' ? ASKED + 2 : 0;
    await waitFor('its descriptors', () => command.descriptors <= before + flows, PATIENCE_MS);
    if (counted !== undefined) expect(await command.counted(counted)).toBeGreaterThan(countBefore);
    const said = command.output.slice(from);
    if (log === undefined) expect(said).toBe('');
    else expect(said.split(log)).toHaveLength(2);
  });
});

test('calls can be made to fail here', (context) => {
  if (!canTrace) context.skip('strace is missing or may not attach');
});
