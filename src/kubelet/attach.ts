import { PassThrough, Writable } from 'node:stream';
import type { ExecSession } from '../api/kinds/pod-streams.ts';
import { ATTACH_BACKLOG_MAX_BYTES } from './limits.ts';
import type { ContainerInput } from './runtime/container-input.ts';
import type { ContainerProcess } from './runtime/container-process.ts';

/**
 * What a running container prints from now on, and its input where it has one. It ends with the container, or when the
 * client goes or has no more input: then the container goes on. Only `stdinOnce` passes the end of the input on, and
 * has the client see the rest (as containerd does).
 */
export function attachTo(live: ContainerProcess, withInput: boolean): ExecSession {
  const input = withInput ? live.input : undefined;
  const stdout = new PassThrough();
  const stderr = live.input?.mode === 'terminal' ? undefined : new PassThrough();
  const detached = Promise.withResolvers<void>();
  const detach = (): void => {
    input?.end();
    detached.resolve();
  };
  const tap = live.output.tap((stream, chunk) => {
    const target = stream === 'stderr' && stderr ? stderr : stdout;
    target.write(chunk);
    if (target.writableLength > ATTACH_BACKLOG_MAX_BYTES) detach();
  });
  const exit = Promise.race([live.exited, detached.promise]);
  void exit.then(() => {
    tap[Symbol.dispose]();
    stdout.end();
    stderr?.end();
  });
  return {
    stdin: input && inputOf(input, detach),
    stdout,
    stderr,
    resize: (columns, rows) => live.input?.resize(columns, rows),
    // The container's own exit code is in the pod's status; kubectl takes another for a failure to attach.
    exit: exit.then(() => ({ exitCode: 0 })),
    kill: detach,
  };
}

/** One client's share of the input: it ends without the others. */
function inputOf(input: ContainerInput, detach: () => void): Writable {
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => input.write(chunk, done),
    final: (done) => {
      if (input.mode === 'once') input.end();
      else detach();
      done();
    },
  });
  stream.on('error', () => {}); // the container may end without reading its input
  return stream;
}
