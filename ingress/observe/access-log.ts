import type { RoutedRequest } from '../relay/context.ts';
import type { RequestRecord } from '../relay/record.ts';

export interface LoggedRequest {
  readonly record: RequestRecord;
  readonly request: RoutedRequest;
  readonly status: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly timeMs: number;
}

/** One JSON object a request. */
export function jsonLine({ record, request, status, bytes, seconds, timeMs }: LoggedRequest): string {
  const { head, route } = request;
  return JSON.stringify({
    time: new Date(timeMs).toISOString(),
    client: request.clientAddress,
    user: record.user,
    method: head.method,
    host: head.authority,
    target: head.target,
    version: head.version / 10,
    status,
    bytes,
    seconds: Number(seconds.toFixed(6)),
    requestId: record.requestId,
    traceId: record.trace?.traceId,
    ingress: `${route.ingress.namespace}/${route.ingress.name}`,
    backend: route.target.kind === 'service' ? route.target.key : undefined,
    canary: record.canary === '' ? undefined : record.canary,
    tries: record.tries.map(({ endpoint, status: answered, detail }) => ({
      endpoint,
      status: answered,
      detail,
    })),
    why: record.why,
    aborted: record.aborted,
    referer: head.fields.get('referer'),
    agent: head.fields.get('user-agent'),
  });
}

/** ingress-nginx's upstreaminfo format; several tries are joined with commas. */
export function upstreamInfoLine({ record, request, status, bytes, seconds, timeMs }: LoggedRequest): string {
  const { head, route } = request;
  const text = (value: string | undefined): string =>
    value === undefined || value === '' ? '-' : escaped(value);
  const target = route.target.kind === 'service' ? route.target.backend : undefined;
  const port =
    target?.port === undefined ? '' : 'name' in target.port ? target.port.name : String(target.port.number);
  const upstream = target ? `${target.namespace}-${target.service}-${port}` : '';
  const tries = record.tries.length > 0 ? record.tries : undefined;
  const version = head.version === 20 ? '2.0' : head.version === 11 ? '1.1' : '1.0';
  const join = (each: (one: RequestRecord['tries'][number]) => string): string =>
    tries?.map(each).join(', ') ?? '-';
  return (
    `${request.clientAddress} - ${text(record.user)} [${clfTime(timeMs)}] ` +
    `"${escaped(head.method)} ${escaped(head.target)} HTTP/${version}" ${status} ${bytes} ` +
    `"${text(head.fields.get('referer'))}" "${text(head.fields.get('user-agent'))}" ` +
    `${record.requestBytes} ${seconds.toFixed(3)} [${upstream}] [${record.canary}] ` +
    `${join(({ endpoint }) => endpoint)} ${tries ? record.upstreamBytes : '-'} ` +
    `${join((one) => (((one.endedMs || one.startedMs) - one.startedMs) / 1000).toFixed(3))} ` +
    `${join((one) => (one.status === 0 ? '502' : String(one.status)))} ${text(record.requestId)}`
  );
}

/** No quote, backslash or control of a client ever shapes a log line. */
function escaped(text: string): string {
  return text.replace(
    /["\\\u0000-\u001f\u007f-\uffff]/g,
    (char) => `\\x${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `21/Nov/2026:12:00:00 +0000`. */
function clfTime(timeMs: number): string {
  const iso = new Date(timeMs).toISOString();
  return `${iso.slice(8, 10)}/${MONTHS[Number(iso.slice(5, 7)) - 1]!}/${iso.slice(0, 4)}:${iso.slice(11, 19)} +0000`;
}
