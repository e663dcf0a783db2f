import { connect } from 'node:net';
import { PassThrough } from 'node:stream';
import { Fault } from '../base/fault.ts';
import type {
  ContainerRef,
  ExecSession,
  LogOptions,
  PodEndpointStream,
  PodStreams,
} from '../api/kinds/pod-streams.ts';
import type { HostProcess } from '../net/process.ts';
import { openPty } from '../net/pty.ts';
import { attachTo } from './attach.ts';
import { recall } from './containers/container-history.ts';
import type { ContainerWorker } from './containers/container-worker.ts';
import { readLog } from './logs/log-reader.ts';
import { knownPods, readPodRecord } from './pods/pod-addresses.ts';
import type { PodWorker } from './pods/pod-worker.ts';
import { execContext, killExec, startExec } from './runtime/container-exec.ts';
import type { ContainerProcess } from './runtime/container-process.ts';
import { safeName } from './runtime/container-record.ts';
import { TERMINAL_ENVIRONMENT, TERMINAL_SIZE } from './runtime/on-terminal.ts';
import type { ProcessRuntime } from './runtime/process-runtime.ts';
import { rewritePaths } from './volumes/mounts.ts';

interface StreamsDeps {
  readonly runtime: ProcessRuntime;
  readonly kubeletUid: number;
  find(namespace: string, name: string): PodWorker | undefined;
}

const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGKILL: 9,
  SIGPIPE: 13,
  SIGTERM: 15,
};

/** Logs, exec, attach and port-forward of this node's pods. */
export function podStreams(deps: StreamsDeps): PodStreams {
  return {
    logs: (ref, options, signal) => logs(deps, ref, options, signal),
    exec: (ref, options) => exec(deps, ref, options),
    attach: async (ref, { stdin }) => {
      const { container, process } = running(deps, ref);
      return await Promise.resolve(attachTo(process, stdin && container.container.stdin === true));
    },
    dial: (ref, port) => dial(deps, ref, port),
  };
}

async function* logs(
  deps: StreamsDeps,
  ref: ContainerRef,
  options: LogOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const worker = deps.find(ref.namespace, ref.pod);
  if (!worker) return yield* readLog(endedLog(deps, ref, options), options, undefined, signal);
  const container = containerOf(worker, ref);
  const key = container.logKey(options.previous);
  if (!key) throw notStarted(ref, container, options.previous);
  const growing = options.previous ? undefined : container.process?.output;
  yield* readLog(deps.runtime.folders.log(key), options, growing, signal);
}

/** The log of a pod that ended before this kubelet started. */
function endedLog(deps: StreamsDeps, ref: ContainerRef, options: LogOptions): string {
  const { folders } = deps.runtime;
  const uid = knownPods(folders).find((one) => {
    const record = readPodRecord(folders, one);
    return record?.namespace === ref.namespace && record.name === ref.pod;
  });
  if (!uid || !ref.container) throw notFound(ref);
  const memory = recall(folders.container(uid, safeName(ref.container)));
  const attempt = (memory?.attempt ?? -1) - (options.previous ? 1 : 0);
  if (attempt < 0) throw new Fault('CONTAINER_NOT_FOUND', `container ${ref.container} has no log`);
  return folders.log({ podUid: uid, container: ref.container, attempt });
}

function notStarted(ref: ContainerRef, container: ContainerWorker, previous: boolean): Fault {
  const what = `container "${container.name}" in pod "${ref.pod}"`;
  if (previous) {
    return new Fault('CONTAINER_NOT_FOUND', `previous terminated ${what} not found`);
  }
  const reason = container.status.state?.waiting?.reason ?? 'ContainerCreating';
  return new Fault('CONTAINER_NOT_RUNNING', `${what} is waiting to start: ${reason}`);
}

async function exec(
  deps: StreamsDeps,
  ref: ContainerRef,
  options: { readonly command: readonly string[]; readonly stdin: boolean; readonly tty: boolean },
): Promise<ExecSession> {
  const { worker, container, process } = running(deps, ref);
  const mounts = worker.mounts(container.container);
  const argv = options.command.map((word) => rewritePaths(word, mounts));
  const context = execContext(process);
  if (options.tty) return await execTerminal(deps, context, argv);
  const child = await startExec(context, {
    argv,
    stdio: [options.stdin ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    kubeletUid: deps.kubeletUid,
  });
  if (!child.stdout) throw new Fault('PROCESS_START', 'the command has no output');
  child.stdin?.on('error', () => {}); // the command may end without reading its input
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    resize: () => {},
    exit: exitOf(child),
    kill: () => killExec(deps.runtime.table, child.pid),
  };
}

async function execTerminal(
  deps: StreamsDeps,
  context: ReturnType<typeof execContext>,
  argv: readonly string[],
): Promise<ExecSession> {
  const pty = openPty(TERMINAL_SIZE);
  let child: HostProcess;
  try {
    child = await startExec(
      { ...context, env: { ...TERMINAL_ENVIRONMENT, ...context.env } },
      {
        argv,
        stdio: [pty.slaveFd, pty.slaveFd, pty.slaveFd],
        kubeletUid: deps.kubeletUid,
        terminal: true,
      },
    );
  } catch (error) {
    pty.close();
    throw error;
  } finally {
    pty.closeSlave();
  }
  // Its own stream for the output: the terminal's ends with an error, this one ends as others do.
  const stdout = new PassThrough();
  pty.output.on('data', (chunk: Buffer) => {
    if (!stdout.write(chunk)) {
      pty.output.pause();
      stdout.once('drain', () => pty.output.resume());
    }
  });
  pty.output.once('close', () => stdout.end());
  return {
    stdin: pty.input,
    stdout,
    stderr: undefined,
    resize: (width, height) => pty.resize(width, height),
    exit: exitOf(child),
    kill: () => {
      killExec(deps.runtime.table, child.pid);
      pty.close();
    },
  };
}

function dial(deps: StreamsDeps, ref: ContainerRef, port: number): Promise<PodEndpointStream> {
  const worker = deps.find(ref.namespace, ref.pod);
  if (!worker) return Promise.reject(notFound(ref));
  return new Promise((resolve, reject) => {
    const socket = connect({ host: worker.podIP, port });
    socket.once('connect', () => resolve({ readable: socket, writable: socket }));
    socket.once('error', (cause) => {
      const message = `${worker.podIP}:${port}: ${cause.message}`;
      reject(new Fault('POD_DIAL', message, { cause }));
    });
  });
}

function running(
  deps: StreamsDeps,
  ref: ContainerRef,
): { readonly worker: PodWorker; readonly container: ContainerWorker; readonly process: ContainerProcess } {
  const worker = deps.find(ref.namespace, ref.pod);
  if (!worker) throw notFound(ref);
  const container = containerOf(worker, ref);
  const { process } = container;
  if (!process) throw new Fault('CONTAINER_NOT_RUNNING', `container ${container.name} is not running`);
  return { worker, container, process };
}

function containerOf(worker: PodWorker, ref: ContainerRef): ContainerWorker {
  const name = ref.container ?? worker.pod.spec.containers[0]?.name ?? '';
  const container = worker.container(name);
  if (container) return container;
  const { initContainers = [], containers, ephemeralContainers = [] } = worker.pod.spec;
  const all = [...initContainers, ...containers, ...ephemeralContainers];
  if (!all.some((one) => one.name === name)) {
    throw new Fault('CONTAINER_NOT_FOUND', `container ${name} is not valid for pod ${ref.pod}`);
  }
  const message = `container "${name}" in pod "${ref.pod}" is waiting to start: PodInitializing`;
  throw new Fault('CONTAINER_NOT_RUNNING', message);
}

async function exitOf(child: HostProcess): Promise<{ readonly exitCode: number }> {
  const { exitCode, signal } = await child.exited;
  return { exitCode: exitCode ?? 128 + (SIGNAL_NUMBERS[signal ?? ''] ?? 9) };
}

function notFound(ref: ContainerRef): Fault {
  return new Fault('POD_NOT_FOUND', `pod ${ref.namespace}/${ref.pod} is not on this node`);
}
