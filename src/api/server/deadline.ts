import type { Clock } from '../../base/clock.ts';
import { parseDurationMs } from '../kinds/cel/durations.ts';
import type { ApiRequest } from './http/request.ts';
import { READ_VERBS, type RequestInfo } from './http/request-info.ts';
import { REQUEST_TIMEOUT_MS, WRITE_TIMEOUT_MS } from './limits.ts';
import { badRequest, StatusError } from './status.ts';

const STREAMS: ReadonlySet<string> = new Set(['log', 'exec', 'attach', 'portforward', 'proxy']);

/** Milliseconds a request may take; undefined for watches and streams. `?timeout=10s` makes it shorter. */
function deadlineMs(request: ApiRequest, info: RequestInfo): number | undefined {
  if (info.verb === 'watch' || STREAMS.has(info.subresource)) return undefined;
  const most = READ_VERBS.has(info.verb) ? REQUEST_TIMEOUT_MS : WRITE_TIMEOUT_MS;
  const text = request.query.get('timeout');
  if (!text) return most;
  const asked = parseDurationMs(text);
  if (asked === undefined) throw badRequest(`invalid timeout specified in the request URL: ${text}`);
  return asked > 0 ? Math.min(asked, most) : most;
}

/** 504 when the work takes longer than the request may; the work itself goes on to its own end. */
export async function withDeadline<T>(
  clock: Clock,
  request: ApiRequest,
  info: RequestInfo,
  work: () => Promise<T>,
): Promise<T> {
  const limitMs = deadlineMs(request, info);
  if (limitMs === undefined) return await work();
  const { promise, reject } = Promise.withResolvers<never>();
  using _timer = clock.setTimer(limitMs, () =>
    reject(
      new StatusError(504, 'Timeout', 'Timeout: request did not complete within the allotted timeout', {
        retryAfterSeconds: 1,
      }),
    ),
  );
  return await Promise.race([work(), promise]);
}
