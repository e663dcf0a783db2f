import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import type { IntOrString } from '../../api/kinds/meta.ts';
import type { Container, LifecycleHandler, Probe } from '../../api/kinds/pod.ts';
import { joinHostPort } from '../../net/ip.ts';
import { checkGrpcHealth } from './grpc-health.ts';

export interface CheckTarget {
  readonly container: Container;
  readonly podIP: string;
  /** Runs a command as the container would. Killed when the signal aborts. */
  run(
    command: readonly string[],
    signal: AbortSignal,
  ): Promise<{ readonly exitCode: number; readonly output: string }>;
}

/** Undefined = success, else what kubectl describe shows after `probe failed:`. */
export type CheckResult = string | undefined;

type HttpAction = NonNullable<Probe['httpGet']>;

/** One action of a probe or a hook. Never rejects. The signal's abort is its time limit. */
export async function check(
  action: Probe | LifecycleHandler,
  target: CheckTarget,
  signal: AbortSignal,
): Promise<CheckResult> {
  try {
    if (action.httpGet) return await httpCheck(action.httpGet, target, signal);
    if (action.tcpSocket) return await tcpCheck(action.tcpSocket, target, signal);
    if (action.exec) return await execCheck(action.exec.command, target, signal);
    if ('grpc' in action && action.grpc) {
      const { port, service } = action.grpc;
      return await checkGrpcHealth({ host: target.podIP, port, service: service ?? '' }, signal);
    }
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** A port by number, or by the name of one of the container's ports. */
export function portNumber(port: IntOrString, container: Container): number | undefined {
  const text = String(port);
  if (/^\d{1,5}$/.test(text)) return Number(text);
  return container.ports?.find((one) => one.name === text)?.containerPort;
}

async function execCheck(
  command: readonly string[],
  target: CheckTarget,
  signal: AbortSignal,
): Promise<CheckResult> {
  const { exitCode, output } = await target.run(command, signal);
  if (signal.aborted) return `command timed out: ${command.join(' ')}`;
  return exitCode === 0 ? undefined : output.trim() || `command exited with ${exitCode}`;
}

function tcpCheck(
  action: NonNullable<Probe['tcpSocket']>,
  target: CheckTarget,
  signal: AbortSignal,
): Promise<CheckResult> {
  const port = portNumber(action.port, target.container);
  if (port === undefined) return Promise.resolve(`no container port named ${action.port}`);
  const host = action.host ?? target.podIP;
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const finish = (failure: CheckResult): void => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      resolve(failure);
    };
    const onAbort = (): void => finish(`dial tcp ${joinHostPort(host, port)}: i/o timeout`);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', () => finish(undefined));
    socket.once('error', (error) => finish(`dial tcp ${joinHostPort(host, port)}: ${error.message}`));
  });
}

function httpCheck(action: HttpAction, target: CheckTarget, signal: AbortSignal): Promise<CheckResult> {
  const port = portNumber(action.port, target.container);
  if (port === undefined) return Promise.resolve(`no container port named ${action.port}`);
  const host = action.host ?? target.podIP;
  const secure = action.scheme?.toUpperCase() === 'HTTPS';
  const path = action.path?.startsWith('/') ? action.path : `/${action.path ?? ''}`;
  const url = `${secure ? 'https' : 'http'}://${joinHostPort(host, port)}${path}`;
  return new Promise((resolve) => {
    const options = {
      host,
      port,
      path,
      headers: headersOf(action),
      agent: false,
      rejectUnauthorized: false,
      signal,
    };
    const request = (secure ? httpsRequest : httpRequest)(options, (response) => {
      const status = response.statusCode ?? 0;
      const healthy = status >= 200 && status < 400;
      if (healthy) {
        response.destroy();
        return resolve(undefined);
      }
      response.destroy();
      resolve(`HTTP probe failed with statuscode: ${status}`);
    });
    request.on('error', (error) => {
      const reason = signal.aborted ? 'context deadline exceeded (Client.Timeout exceeded)' : error.message;
      resolve(`Get "${url}": ${reason}`);
    });
    request.end();
  });
}

/** Repeated names of httpHeaders are sent as often as they are given. */
function headersOf(action: HttpAction): Record<string, string | string[]> {
  const out: Record<string, string | string[]> = {
    'user-agent': 'kube-probe/1.35',
    accept: '*/*',
    connection: 'close',
  };
  for (const { name, value } of action.httpHeaders ?? []) {
    const key = name.toLowerCase();
    const given = (action.httpHeaders ?? []).filter((one) => one.name.toLowerCase() === key);
    out[key] = given.length === 1 || key === 'host' ? value : given.map((one) => one.value);
  }
  return out;
}
