import type { Clock } from '../../src/base/clock.ts';
import { Fault, hasCode } from '../../src/base/fault.ts';
import type { TlsFiles } from '../block-settings.ts';
import type { Transport } from '../query.ts';
import type { DatagramEngine, DatagramHandler, FastPath, OpenDatagramEngine } from './datagram-engine.ts';
import type { ListenSpec } from './listen-plan.ts';
import type { Answerer } from './responder.ts';
import type { OpenStreamEngine, StreamEngine } from './stream-engine.ts';
import { tlsFilesDigest } from './tls-files.ts';

/** How often a free port must turn out to be taken for the other protocol before we give up. */
const PORT_PAIR_TRIES = 20;

export interface ListenDeps {
  readonly clock: Clock;
  readonly responder: Answerer;
  readonly openDatagram: OpenDatagramEngine;
  readonly openStream: OpenStreamEngine;
}

/** The sockets of one ListenSpec. */
export class OpenListener implements AsyncDisposable {
  readonly label: string;
  readonly #datagram: DatagramEngine | undefined;
  readonly #stream: StreamEngine;
  readonly #transport: Transport;
  /** Of the files that its TLS was read from. */
  #tlsDigest: string | undefined;

  private constructor(label: string, transport: Transport, stream: StreamEngine, datagram?: DatagramEngine) {
    this.label = label;
    this.#transport = transport;
    this.#stream = stream;
    this.#datagram = datagram;
  }

  /** Rejects with Fault LISTEN_FAILED or TLS_FILES. */
  static async open(deps: ListenDeps, spec: ListenSpec): Promise<OpenListener> {
    if (spec.scheme === 'dns') return await openDns(deps, spec, OpenListener.#make);
    if (!spec.tls) throw new Fault('TLS_FILES', `${spec.label} needs a tls directive in its block`);
    const { tls, port, label: listener, transport: settings } = spec;
    const open = async (address: string): Promise<StreamEngine> => {
      const options = { address, port, listener, settings, tls };
      if (spec.scheme === 'tls') return await deps.openStream(deps, options);
      const { DohListener } = await import('./doh-listener.ts');
      return await DohListener.open(deps, options);
    };
    // before they are read: what changes in between is read once more
    const digest = tlsFilesDigest([tls]);
    const listening = new OpenListener(spec.label, spec.scheme, await onWildcard(spec.address, open));
    listening.#tlsDigest = digest;
    return listening;
  }

  static readonly #make = (label: string, stream: StreamEngine, datagram: DatagramEngine): OpenListener =>
    new OpenListener(label, 'tcp', stream, datagram);

  get addresses(): readonly {
    readonly transport: Transport;
    readonly address: string;
    readonly port: number;
  }[] {
    const stream = { transport: this.#transport, ...this.#stream.address };
    return this.#datagram ? [{ transport: 'udp', ...this.#datagram.address }, stream] : [stream];
  }

  /** How questions are answered without a chain, over each transport; undefined = not. */
  useFastPaths(datagram: FastPath | undefined, stream: FastPath | undefined): void {
    this.#datagram?.useFastPath(datagram);
    this.#stream.useFastPath?.(stream);
  }

  /** Tickets stay good while the files say the same. Throws Fault TLS_FILES, and all stays as it was. */
  renewTls(files: TlsFiles): void {
    const digest = tlsFilesDigest([files]);
    if (digest === this.#tlsDigest) return;
    this.#stream.renewTls?.(files);
    this.#tlsDigest = digest;
  }

  drain(): void {
    this.#stream.drain();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#datagram?.[Symbol.asyncDispose]();
    await this.#stream[Symbol.asyncDispose]();
  }
}

/** UDP and TCP on the same port; port 0 finds one that is free for both. */
async function openDns(
  deps: ListenDeps,
  spec: ListenSpec,
  make: (label: string, stream: StreamEngine, datagram: DatagramEngine) => OpenListener,
): Promise<OpenListener> {
  for (let tries = 1; ; tries++) {
    const stream = await onWildcard(spec.address, (address) =>
      deps.openStream(deps, { address, port: spec.port, listener: spec.label, settings: spec.transport }),
    );
    try {
      const { address, port } = stream.address;
      const datagram = await deps.openDatagram(
        { address, port, sockets: spec.transport.sockets },
        datagramHandler(deps.responder, spec, port),
      );
      return make(spec.label, stream, datagram);
    } catch (error) {
      await stream[Symbol.asyncDispose]();
      if (spec.port !== 0 || tries >= PORT_PAIR_TRIES || !hasCode(error, 'EADDRINUSE')) throw error;
    }
  }
}

function datagramHandler(responder: Answerer, spec: ListenSpec, port: number): DatagramHandler {
  const never = new AbortController().signal;
  const server = { address: spec.address ?? '0.0.0.0', port };
  return (bytes, client, reply) => {
    const arrival = { transport: 'udp', listener: spec.label, client, server, signal: never } as const;
    responder.answer(bytes, arrival, reply);
  };
}

/** The dual-stack wildcard, or IPv4 alone on hosts without IPv6. */
async function onWildcard<T>(address: string | undefined, open: (address: string) => Promise<T>): Promise<T> {
  if (address !== undefined) return await open(address);
  try {
    return await open('::');
  } catch (error) {
    if (!hasCode(error, 'EAFNOSUPPORT') && !hasCode(error, 'EADDRNOTAVAIL')) throw error;
    return await open('0.0.0.0');
  }
}
