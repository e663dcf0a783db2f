import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import type { ConnectionOptions } from 'node:tls';
import { WebSocket } from 'ws';
import { Fault, messageOf } from '../../base/fault.ts';
import { joinHostPort } from '../../net/ip.ts';
import type { ContainerRef, KubeletDoor, KubeletPage, LogOptions } from '../kinds/pod-streams.ts';
import { CHANNEL_PROTOCOLS } from './channels.ts';
import {
  KUBELET_PAGE_DEADLINE_MS,
  KUBELET_PAGE_MAX_BYTES,
  KUBELET_REPLY_DEADLINE_MS,
  REFUSAL_MAX_BYTES,
  STREAM_MESSAGE_MAX_BYTES,
} from './limits.ts';
import { dialOver } from './remote-dial.ts';
import { sessionOver } from './remote-session.ts';

/** Where a kubelet serves, how it proves that it is the one, and who we are to it. */
export interface KubeletEndpoint {
  readonly nodeName: string;
  readonly host: string;
  readonly port: number;
  /** The kubelet's own certificate (`pinned`), else of the CA that signed it. */
  readonly trustedPem: string;
  readonly pinned: boolean;
  readonly certPem: string;
  readonly keyPem: string;
}

/**
 * The kubelet of another host, by its HTTPS interface: /containerLogs, /exec, /attach, /portForward, and its pages.
 * Faults beside those of PodStreams: KUBELET_UNREACHABLE, KUBELET_REFUSED.
 */
export function remoteKubelet(endpoint: KubeletEndpoint): KubeletDoor {
  return {
    page: (path) => page(endpoint, path),
    logs: (ref, options, signal) => logs(endpoint, ref, options, signal),
    exec: async (ref, { command, stdin, tty }) => {
      const query = new URLSearchParams([...streamFlags(stdin, tty), ...command.map(commandWord)]);
      return sessionOver(await upgrade(endpoint, pathOf('exec', ref), query), { stdin, tty });
    },
    attach: async (ref, { stdin, tty }) => {
      const query = new URLSearchParams(streamFlags(stdin, tty));
      return sessionOver(await upgrade(endpoint, pathOf('attach', ref), query), { stdin, tty });
    },
    dial: async (ref, port) => {
      const query = new URLSearchParams({ port: String(port) });
      return dialOver(
        await upgrade(endpoint, pathOf('portForward', { ...ref, container: undefined }), query),
      );
    },
  };
}

function streamFlags(stdin: boolean, tty: boolean): [string, string][] {
  const flags = [...(stdin ? ['input'] : []), 'output', ...(tty ? ['tty'] : ['error'])];
  return flags.map((name) => [name, '1']);
}

function commandWord(word: string): [string, string] {
  return ['command', word];
}

function pathOf(what: string, { namespace, pod, container }: ContainerRef): string {
  const parts = [what, namespace, pod, ...(container === undefined ? [] : [container])];
  return `/${parts.map(encodeURIComponent).join('/')}`;
}

async function* logs(
  endpoint: KubeletEndpoint,
  ref: ContainerRef,
  options: LogOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { tailLines, limitBytes, sinceTimeMs } = options;
  const query = new URLSearchParams();
  for (const name of ['follow', 'previous', 'timestamps'] as const)
    if (options[name]) query.set(name, 'true');
  if (tailLines !== undefined) query.set('tailLines', String(tailLines));
  if (limitBytes !== undefined) query.set('limitBytes', String(limitBytes));
  if (sinceTimeMs !== undefined) query.set('sinceTime', new Date(sinceTimeMs).toISOString());
  const path = `${pathOf('containerLogs', ref)}?${query.toString()}`;
  try {
    const response = await get(endpoint, path, signal);
    if (response.statusCode !== 200) throw await refusal(response);
    yield* response as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (!signal.aborted) throw error instanceof Fault ? error : unreachable(endpoint, error);
  }
}

async function page(endpoint: KubeletEndpoint, path: string): Promise<KubeletPage | undefined> {
  try {
    const response = await get(endpoint, path, AbortSignal.timeout(KUBELET_PAGE_DEADLINE_MS));
    if (response.statusCode === 404) return void response.destroy();
    if (response.statusCode !== 200) throw await refusal(response);
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      if (sizeBytes > KUBELET_PAGE_MAX_BYTES) throw new Fault('KUBELET_REFUSED', `${path} is too long`);
      chunks.push(chunk);
    }
    const contentType = response.headers['content-type'] ?? 'text/plain';
    return { contentType, text: Buffer.concat(chunks).toString('utf8') };
  } catch (error) {
    throw error instanceof Fault ? error : unreachable(endpoint, error);
  }
}

/** Resolves when the reply begins, whatever it is. */
async function get(endpoint: KubeletEndpoint, path: string, signal: AbortSignal): Promise<IncomingMessage> {
  const { host, port } = endpoint;
  const asked = request({ host, port, path, signal, agent: false, ...kubeletTls(endpoint) });
  asked.setTimeout(KUBELET_REPLY_DEADLINE_MS, () => asked.destroy(new Error('no reply in time')));
  asked.end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  asked.setTimeout(0); // a followed log may be silent
  return response;
}

async function upgrade(endpoint: KubeletEndpoint, path: string, query: URLSearchParams): Promise<WebSocket> {
  const url = `wss://${joinHostPort(endpoint.host, endpoint.port)}${path}?${query.toString()}`;
  const socket = new WebSocket(url, [...CHANNEL_PROTOCOLS], {
    ...kubeletTls(endpoint),
    handshakeTimeout: KUBELET_REPLY_DEADLINE_MS,
    maxPayload: STREAM_MESSAGE_MAX_BYTES,
    perMessageDeflate: false,
  });
  socket.pause(); // nothing is lost between the upgrade and the first listener
  return await new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket));
    socket.once('error', (error) => reject(unreachable(endpoint, error)));
    socket.once('unexpected-response', (_request, response) => {
      // whatever ending the handshake says then comes too late to be heard
      void refusal(response)
        .then(reject, reject)
        .finally(() => socket.terminate());
    });
  });
}

/** A pinned certificate is its own authority, and no name in it matters. */
export function kubeletTls({ trustedPem, pinned, certPem, keyPem }: KubeletEndpoint): ConnectionOptions {
  return {
    ca: trustedPem,
    cert: certPem,
    key: keyPem,
    minVersion: 'TLSv1.3',
    ...(pinned && { checkServerIdentity: () => undefined }),
  };
}

async function refusal(response: IncomingMessage): Promise<Fault> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk;
    if (text.length > REFUSAL_MAX_BYTES) break;
  }
  const message =
    text.slice(0, REFUSAL_MAX_BYTES).trim() || `the kubelet replied with HTTP ${response.statusCode}`;
  if (response.statusCode === 404) return new Fault('POD_NOT_FOUND', message);
  return new Fault(response.statusCode === 400 ? 'CONTAINER_NOT_RUNNING' : 'KUBELET_REFUSED', message);
}

function unreachable({ nodeName, host, port }: KubeletEndpoint, cause: unknown): Fault {
  const message = `kubelet of node ${nodeName} at ${joinHostPort(host, port)}: ${messageOf(cause)}`;
  return new Fault('KUBELET_UNREACHABLE', message, { cause });
}
