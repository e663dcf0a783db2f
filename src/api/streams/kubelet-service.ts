import { Buffer } from 'node:buffer';
import type { Readable } from 'node:stream';
import type { WebSocket } from 'ws';
import { hasCode, messageOf } from '../../base/fault.ts';
import type { ContainerRef, KubeletDoor, LogOptions } from '../kinds/pod-streams.ts';
import { CHANNEL_PROTOCOLS } from './channels.ts';
import { serveDial } from './dial-server.ts';
import { type KubeletTarget, parseKubeletTarget } from './kubelet-target.ts';
import { RUN_OUTPUT_MAX_BYTES } from './limits.ts';
import { serveSession } from './session-server.ts';
import { openWebSocket, type Upgrade } from './web-socket.ts';

/** A request to a kubelet, from wherever it came. */
export interface KubeletRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
}

export interface KubeletReply {
  readonly status: number;
  readonly contentType: string;
  /** What fails on the way breaks the reply off. */
  readonly body: string | AsyncIterable<Uint8Array>;
}

/** Answers all that needs no upgrade: pages, logs, and commands without input. */
export async function answerKubelet(
  door: KubeletDoor,
  { method, target: text, signal }: KubeletRequest,
): Promise<KubeletReply> {
  const target = parseKubeletTarget(method, text);
  try {
    if (target?.kind === 'page') return await page(door, target.path);
    if (target?.kind === 'logs') return await logs(door, target.ref, target.options, signal);
    if (target?.kind === 'run') return await run(door, target.ref, target.command, signal);
  } catch (error) {
    return plain(statusOf(error), `${messageOf(error)}\n`);
  }
  return target ? plain(400, 'upgrade request required: WebSocket\n') : NOT_FOUND;
}

/**
 * Accepts the upgrade and serves exec, attach or port-forward on it for as long as it lasts; a reply when it is refused,
 * and nothing was sent then.
 */
export async function upgradeToKubelet(
  door: KubeletDoor,
  { method, target: text }: Omit<KubeletRequest, 'signal'>,
  upgrade: Upgrade,
): Promise<WebSocket | KubeletReply> {
  const target = parseKubeletTarget(method, text);
  if (target?.kind !== 'exec' && target?.kind !== 'attach' && target?.kind !== 'portForward')
    return NOT_FOUND;
  try {
    const stream = await openStream(door, target);
    const client = await openWebSocket(upgrade, CHANNEL_PROTOCOLS);
    if (client) void stream.serve(client);
    else stream.abandon();
    return client ?? plain(400, `offer one of: ${CHANNEL_PROTOCOLS.join(', ')}\n`);
  } catch (error) {
    return plain(statusOf(error), `${messageOf(error)}\n`);
  }
}

/** What a WebSocket is to carry, once there is one. */
interface OpenStream {
  readonly serve: (client: WebSocket) => Promise<void>;
  readonly abandon: () => void;
}

async function openStream(
  door: KubeletDoor,
  target: Extract<KubeletTarget, { readonly kind: 'exec' | 'attach' | 'portForward' }>,
): Promise<OpenStream> {
  const { ref } = target;
  if (target.kind === 'portForward') {
    const endpoint = await door.dial(ref, target.port);
    return {
      serve: (client) => serveDial(client, endpoint, target.port),
      abandon: () => endpoint.writable.destroy(),
    };
  }
  const { kind, options } = target;
  const session = await (kind === 'exec' ? door.exec(ref, options) : door.attach(ref, options));
  return { serve: (client) => serveSession(client, session), abandon: () => session.kill() };
}

async function page(door: KubeletDoor, path: string): Promise<KubeletReply> {
  const found = await door.page(path);
  return found ? { status: 200, contentType: found.contentType, body: found.text } : NOT_FOUND;
}

/** A followed log may have nothing to say yet: the reply begins all the same. */
async function logs(
  door: KubeletDoor,
  ref: ContainerRef,
  options: LogOptions,
  signal: AbortSignal,
): Promise<KubeletReply> {
  const chunks = door.logs(ref, options, signal)[Symbol.asyncIterator]();
  const first = options.follow ? undefined : await chunks.next();
  const body = async function* (): AsyncGenerator<Uint8Array> {
    try {
      for (let next = first ?? (await chunks.next()); !next.done; next = await chunks.next())
        yield next.value;
    } finally {
      await chunks.return?.();
    }
  };
  return { status: 200, contentType: 'text/plain', body: body() };
}

/** Both outputs together, once the command has ended; 500 when it failed (kubelet RunInContainer). */
async function run(
  door: KubeletDoor,
  ref: ContainerRef,
  command: readonly string[],
  signal: AbortSignal,
): Promise<KubeletReply> {
  const session = await door.exec(ref, { command, stdin: false, tty: false });
  signal.addEventListener('abort', () => session.kill(), { once: true });
  const [{ exitCode }, ...outputs] = await Promise.all([
    session.exit,
    begin(session.stdout),
    session.stderr ? begin(session.stderr) : '',
  ]);
  const text = outputs.join('');
  if (exitCode === 0) return plain(200, text);
  return plain(500, `command '${command.join(' ')}' exited with ${exitCode}: ${text}`);
}

/** What comes first; the rest is read and dropped. */
async function begin(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    if (sizeBytes < RUN_OUTPUT_MAX_BYTES) chunks.push(chunk);
    sizeBytes += chunk.length;
  }
  return Buffer.concat(chunks).subarray(0, RUN_OUTPUT_MAX_BYTES).toString();
}

function plain(status: number, body: string): KubeletReply {
  return { status, contentType: 'text/plain', body };
}

const NOT_FOUND = plain(404, '404 page not found\n');

function statusOf(error: unknown): number {
  if (hasCode(error, 'POD_NOT_FOUND')) return 404;
  return hasCode(error, 'CONTAINER_NOT_FOUND') || hasCode(error, 'CONTAINER_NOT_RUNNING') ? 400 : 500;
}
