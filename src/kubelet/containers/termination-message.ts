import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { Container } from '../../api/kinds/pod.ts';
import {
  TERMINATION_LOG_TAIL_BYTES,
  TERMINATION_LOG_TAIL_LINES,
  TERMINATION_MESSAGE_MAX_BYTES,
} from '../limits.ts';
import { parseLogLine } from '../logs/log-line.ts';

/**
 * A container's last words: what it wrote to its terminationMessagePath, or, when it asks for that and failed
 * without any, the end of its log.
 */
export function terminationMessage(
  container: Container,
  exitCode: number,
  paths: { readonly terminationLog: string; readonly log: string },
): string | undefined {
  const words = tail(paths.terminationLog, TERMINATION_MESSAGE_MAX_BYTES);
  if (words) return words;
  if (container.terminationMessagePolicy !== 'FallbackToLogsOnError' || exitCode === 0) return undefined;
  const lines = (tail(paths.log, TERMINATION_LOG_TAIL_BYTES * 2) ?? '').split('\n');
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
