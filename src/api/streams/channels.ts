import { Buffer } from 'node:buffer';
import { isObject, objectAt, objectsAt, stringAt } from '../kinds/json-value.ts';

/** First byte of each message of v4/v5.channel.k8s.io (KEP-4006). */
export const CHANNEL = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const;
/** Of exec, attach and port-forward; v5 can say that one direction ended. */
export const CHANNEL_PROTOCOLS: readonly string[] = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
/** Of port-forward to a kubelet, one port a connection; the first message on each holds it, 16 bits, lowest byte first. */
export const DIAL_CHANNEL = { data: 0, error: 1 } as const;

export function channelMessage(channel: number, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([channel]), payload]);
}

/** What goes over the error channel when a command has ended. */
export function exitStatus(exitCode: number): unknown {
  if (exitCode === 0) return { metadata: {}, status: 'Success' };
  return {
    metadata: {},
    status: 'Failure',
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  };
}

/** The exit code such a status tells; a string when it tells of a failure of another kind. */
export function exitCodeOf(payload: Buffer): number | string {
  const status = parseJson(payload);
  if (stringAt(status, 'status') === 'Success') return 0;
  const causes = objectsAt(objectAt(status, 'details'), 'causes');
  const code = Number(
    stringAt(
      causes.find(({ reason }) => reason === 'ExitCode'),
      'message',
    ) || Number.NaN,
  );
  return Number.isInteger(code) ? code : stringAt(status, 'message') || 'the kubelet sent no status';
}

/** A terminal's new size; undefined for what is none. */
export function parseSize(payload: Buffer): { width: number; height: number } | undefined {
  const { Width: width, Height: height } = parseJson(payload) ?? {};
  return typeof width === 'number' && typeof height === 'number' ? { width, height } : undefined;
}

function parseJson(payload: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(payload.toString('utf8'));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
