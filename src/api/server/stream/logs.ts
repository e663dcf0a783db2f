import type { LogOptions } from '../../kinds/pod-streams.ts';
import { badRequest, methodNotAllowed } from '../status.ts';
import type { SubresourceHandler } from '../verbs/dispatch.ts';
import { parseBoolean, parseInteger } from '../verbs/list-options.ts';
import type { Call } from '../verbs/write.ts';
import { containerOf, streamError, type StreamsSource } from './target.ts';

const TEXT = { 'content-type': 'text/plain' };

/** pods/NAME/log: text, followed when asked, until the client leaves. */
export function logHandler(source: StreamsSource): SubresourceHandler {
  return async (call) => {
    if (call.info.verb !== 'get') throw methodNotAllowed();
    const { ref, nodeName } = await containerOf(call);
    const options = logOptions(call);
    // A pod on no node has written nothing yet.
    if (nodeName === '') return { status: 200, headers: TEXT, body: new Uint8Array() };
    const streams = source(nodeName);
    const abort = new AbortController();
    const iterator = streams.logs(ref, options, abort.signal)[Symbol.asyncIterator]();
    // The first piece decides whether there is a log at all: only then the reply can still be an error.
    let first: IteratorResult<Uint8Array> | undefined;
    if (!options.follow) {
      first = await iterator.next().catch((error: unknown) => Promise.reject(streamError(error)));
    }
    return {
      status: 200,
      headers: TEXT,
      body: async (sink) => {
        sink.closed.addEventListener('abort', () => abort.abort(), { once: true });
        for (let piece = first ?? (await iterator.next()); !piece.done; piece = await iterator.next()) {
          if (sink.closed.aborted) return;
          sink.write(piece.value);
          await sink.drained();
        }
      },
    };
  };
}

function logOptions({ request, core }: Call): LogOptions {
  const { query } = request;
  const tailLines = parseInteger(query, 'tailLines');
  const limitBytes = parseInteger(query, 'limitBytes');
  const sinceSeconds = parseInteger(query, 'sinceSeconds');
  const sinceTime = query.get('sinceTime');
  if (tailLines !== undefined && tailLines < 0)
    throw badRequest('tailLines must be greater than or equal to 0');
  if (limitBytes !== undefined && limitBytes < 1) throw badRequest('limitBytes must be greater than 0');
  if (sinceSeconds !== undefined && sinceTime)
    throw badRequest('at most one of `sinceTime` or `sinceSeconds` may be specified');
  const sinceMs = sinceTime ? Date.parse(sinceTime) : undefined;
  if (sinceMs !== undefined && Number.isNaN(sinceMs)) throw badRequest('sinceTime is no RFC 3339 time');
  return {
    follow: parseBoolean(query, 'follow') ?? false,
    previous: parseBoolean(query, 'previous') ?? false,
    timestamps: parseBoolean(query, 'timestamps') ?? false,
    tailLines,
    limitBytes,
    sinceTimeMs: sinceSeconds === undefined ? sinceMs : core.clock.nowMs() - sinceSeconds * 1000,
  };
}
