import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { secondTime } from '../../api/kinds/lease.ts';
import type { Container, ContainerState } from '../../api/kinds/pod.ts';
import {
  TERMINATION_LOG_TAIL_BYTES,
  TERMINATION_LOG_TAIL_LINES,
  TERMINATION_MESSAGE_MAX_BYTES,
} from '../limits.ts';
import { parseLogLine } from '../logs/log-line.ts';
import type { ContainerExit } from '../runtime/container-process.ts';

interface EndedRun {
  readonly container: Container;
  readonly exit: ContainerExit;
  readonly containerId: string | undefined;
  readonly startedAt: string | undefined;
  /** Path of its termination message. */
  readonly terminationLog: string;
  /** Path of its log. */
  readonly log: string;
}

/** What the pod's status says of a run that is over. */
export function terminatedState(run: EndedRun): NonNullable<ContainerState['terminated']> {
  const { exit, containerId, startedAt } = run;
  const message = exit.known
    ? terminationMessage(run)
    : 'The container could not be located when the kubelet looked for it';
  const reason = exit.known ? (exit.exitCode === 0 ? 'Completed' : 'Error') : 'ContainerStatusUnknown';
  return {
    exitCode: exit.exitCode,
    reason,
    ...(message && { message }),
    ...(startedAt && { startedAt }),
    finishedAt: secondTime(exit.finishedAtMs),
    ...(containerId && { containerID: containerId }),
  };
}

/**
 * A container's last words: what it wrote to its terminationMessagePath, or, when it asks for that and failed
 * without any, the end of its log.
 */
function terminationMessage({ container, exit, terminationLog, log }: EndedRun): string | undefined {
  const words = tail(terminationLog, TERMINATION_MESSAGE_MAX_BYTES);
  if (words) return words;
  if (container.terminationMessagePolicy !== 'FallbackToLogsOnError' || exit.exitCode === 0) return undefined;
  const lines = (tail(log, TERMINATION_LOG_TAIL_BYTES * 2) ?? '').split('\n');
  const texts = lines.flatMap((line) => parseLogLine(line)?.text ?? []);
  const text = texts.slice(-TERMINATION_LOG_TAIL_LINES).join('\n').slice(-TERMINATION_LOG_TAIL_BYTES);
  return text || undefined;
}

function tail(path: string, maxBytes: number): string | undefined {
  try {
    const fd = openSync(path, 'r');
    try {
      const { size } = fstatSync(fd);
      const bytes = Buffer.alloc(Math.min(size, maxBytes));
      const length = readSync(fd, bytes, 0, bytes.length, size - bytes.length);
      return bytes.subarray(0, length).toString();
    } finally {
      closeSync(fd);
    }
  } catch {
    return undefined; // it wrote none
  }
}
