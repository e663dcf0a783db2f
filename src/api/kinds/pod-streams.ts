import type { Readable, Writable } from 'node:stream';

export interface ContainerRef {
  readonly namespace: string;
  readonly pod: string;
  /** Absent = the only (or first) container. */
  readonly container: string | undefined;
}

export interface LogOptions {
  readonly follow: boolean;
  readonly previous: boolean;
  readonly timestamps: boolean;
  readonly tailLines: number | undefined;
  readonly limitBytes: number | undefined;
  readonly sinceTimeMs: number | undefined;
}

/** A command that runs in a container. Streams end when the process does. */
export interface ExecSession {
  readonly stdin: Writable | undefined;
  readonly stdout: Readable;
  /** Undefined with a terminal: everything comes on stdout. */
  readonly stderr: Readable | undefined;
  resize(width: number, height: number): void;
  /** Signals are reported as 128 + number. */
  readonly exit: Promise<{ readonly exitCode: number }>;
  kill(): void;
}

export interface PodEndpointStream {
  readonly readable: Readable;
  readonly writable: Writable;
}

/**
 * What the API server asks of a kubelet: the process runtime implements it, the server turns it into
 * /log, /exec, /attach and /portforward. Faults: POD_NOT_FOUND, CONTAINER_NOT_FOUND, CONTAINER_NOT_RUNNING.
 */
export interface PodStreams {
  logs(ref: ContainerRef, options: LogOptions, signal: AbortSignal): AsyncIterable<Uint8Array>;
  exec(
    ref: ContainerRef,
    options: { readonly command: readonly string[]; readonly stdin: boolean; readonly tty: boolean },
  ): Promise<ExecSession>;
  attach(
    ref: ContainerRef,
    options: { readonly stdin: boolean; readonly tty: boolean },
  ): Promise<ExecSession>;
  /** Connects to a TCP port of the pod. */
  dial(ref: ContainerRef, port: number): Promise<PodEndpointStream>;
}

export interface KubeletPage {
  readonly contentType: string;
  readonly text: string;
}

/** A kubelet as the API server sees it: the streams of its pods, and pages about itself. */
export interface KubeletDoor extends PodStreams {
  /** `/pods`, `/metrics/resource`, `/stats/summary` and so on; undefined = it has no such page. */
  page(path: string): Promise<KubeletPage | undefined>;
}
