import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import type { Registry } from '../../base/metrics.ts';
import type { Event, ObjectReference } from '../kinds/event.ts';
import { secondTime } from '../kinds/lease.ts';
import type { KubeObject } from '../kinds/meta.ts';
import { clientMetrics } from './client-metrics.ts';
import { type ApiClient, ApiError } from './client.ts';
import { EVENT_AGGREGATION_MS, MAX_EVENT_KEYS, MAX_QUEUED_EVENTS } from './limits.ts';
import { resources } from './resources.ts';

/** Writes Kubernetes Events in the background; never makes its caller wait or fail. */
export interface EventRecorder extends AsyncDisposable {
  record(object: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string): void;
}

interface RecorderDeps {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics?: Registry;
}

interface Known {
  readonly event: Event;
  count: number;
  lastMs: number;
}

/**
 * Equal events (object, type, reason, message) within EVENT_AGGREGATION_MS are counted on one Event object.
 * Over MAX_QUEUED_EVENTS waiting, further ones are dropped and counted.
 */
export function openEventRecorder(
  deps: RecorderDeps,
  options: { readonly component: string; readonly host?: string },
): EventRecorder {
  const { client, clock, log } = deps;
  const metrics = deps.metrics && clientMetrics(deps.metrics);
  const known = new Map<string, Known>();
  const waiting: (() => Promise<void>)[] = [];
  const abort = new AbortController();
  let running: Promise<void> | undefined;
  let sequence = 0;

  const drain = async (): Promise<void> => {
    for (let next = waiting.shift(); next && !abort.signal.aborted; next = waiting.shift()) {
      try {
        await next();
        metrics?.eventsRecorded.inc({ result: 'written' });
      } catch (error) {
        if (abort.signal.aborted) return;
        metrics?.eventsRecorded.inc({ result: 'failed' });
        log.debug('event not written', { reason: messageOf(error) });
      }
    }
  };
  const enqueue = (job: () => Promise<void>): void => {
    if (abort.signal.aborted) return;
    if (waiting.length >= MAX_QUEUED_EVENTS) {
      metrics?.eventsRecorded.inc({ result: 'dropped' });
      return;
    }
    waiting.push(job);
    running ??= drain().finally(() => (running = undefined));
  };
  const create = (key: string, event: Event, nowMs: number) => async (): Promise<void> => {
    const made = await client.create<Event>(resources.events, event, { signal: abort.signal });
    if (known.size >= MAX_EVENT_KEYS) known.delete(known.keys().next().value ?? '');
    known.set(key, { event: made, count: 1, lastMs: nowMs });
  };
  const repeat = (key: string, entry: Known, nowMs: number) => async (): Promise<void> => {
    const { name, namespace } = entry.event.metadata;
    const patch = { count: entry.count, lastTimestamp: secondTime(nowMs) };
    try {
      await client.patch(resources.events, name, namespace, 'merge', patch, { signal: abort.signal });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      known.delete(key); // expired meanwhile: the next one starts a new Event
    }
  };

  return {
    record(object, type, reason, message) {
      const nowMs = clock.nowMs();
      const { uid, namespace = '', name } = object.metadata;
      const key = JSON.stringify([object.kind, namespace, name, uid, type, reason, message]);
      const entry = known.get(key);
      if (entry && nowMs - entry.lastMs < EVENT_AGGREGATION_MS) {
        entry.count++;
        entry.lastMs = nowMs;
        enqueue(repeat(key, entry, nowMs));
        return;
      }
      const stamp = `${nowMs.toString(16)}${(sequence++).toString(16).padStart(4, '0')}`;
      const event = eventOf(object, { type, reason, message, stamp, nowMs, ...options });
      enqueue(create(key, event, nowMs));
    },
    async [Symbol.asyncDispose]() {
      abort.abort(new Error('event recorder disposed'));
      waiting.length = 0;
      await running;
    },
  };
}

interface EventText {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly stamp: string;
  readonly nowMs: number;
  readonly component: string;
  readonly host?: string;
}

function eventOf(object: KubeObject, text: EventText): Event {
  const time = secondTime(text.nowMs);
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: {
      name: `${object.metadata.name}.${text.stamp}`,
      namespace: object.metadata.namespace ?? 'default',
    },
    involvedObject: referenceTo(object),
    type: text.type,
    reason: text.reason,
    message: text.message.slice(0, 1024),
    count: 1,
    firstTimestamp: time,
    lastTimestamp: time,
    source: { component: text.component, ...(text.host && { host: text.host }) },
    reportingComponent: text.component,
    reportingInstance: text.host ?? '',
  };
}

function referenceTo(object: KubeObject): ObjectReference {
  const { name, namespace, uid, resourceVersion } = object.metadata;
  return {
    apiVersion: object.apiVersion,
    kind: object.kind,
    name,
    ...(namespace && { namespace }),
    ...(uid && { uid }),
    ...(resourceVersion && { resourceVersion }),
  };
}
