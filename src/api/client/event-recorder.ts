import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import type { Registry } from '../../base/metrics.ts';
import type { Event, ObjectReference } from '../kinds/event.ts';
import { secondTime } from '../kinds/lease.ts';
import type { KubeObject } from '../kinds/meta.ts';
import { type ClientMetrics, clientMetrics } from './client-metrics.ts';
import { type ApiClient, ApiError } from './client.ts';
import { EVENT_AGGREGATION_MS, MAX_EVENT_KEYS, MAX_QUEUED_EVENTS } from './limits.ts';
import { resources } from './resources.ts';

/** Writes Kubernetes Events in the background; never makes its caller wait or fail. */
export interface EventRecorder extends EventSink, AsyncDisposable {
  /** The same recorder in the name of another component. */
  as(component: string): EventSink;
}

export interface EventSink {
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
  return new QueuedRecorder(deps, options);
}

class QueuedRecorder implements EventRecorder {
  readonly #deps: RecorderDeps;
  readonly #options: { readonly component: string; readonly host?: string };
  readonly #metrics: ClientMetrics | undefined;
  readonly #known = new Map<string, Known>();
  readonly #waiting: (() => Promise<void>)[] = [];
  readonly #abort = new AbortController();
  #running: Promise<void> | undefined;
  #sequence = 0;

  constructor(deps: RecorderDeps, options: { readonly component: string; readonly host?: string }) {
    this.#deps = deps;
    this.#options = options;
    this.#metrics = deps.metrics && clientMetrics(deps.metrics);
  }

  record(object: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#record(this.#options.component, object, { type, reason, message });
  }

  as(component: string): EventSink {
    return {
      record: (object, type, reason, message) => this.#record(component, object, { type, reason, message }),
    };
  }

  #record(
    component: string,
    object: KubeObject,
    { type, reason, message }: { readonly type: string; readonly reason: string; readonly message: string },
  ): void {
    const nowMs = this.#deps.clock.nowMs();
    const { uid, namespace = '', name } = object.metadata;
    const key = JSON.stringify([component, object.kind, namespace, name, uid, type, reason, message]);
    const entry = this.#known.get(key);
    if (entry && nowMs - entry.lastMs < EVENT_AGGREGATION_MS) {
      entry.count++;
      entry.lastMs = nowMs;
      this.#enqueue(() => this.#repeat(key, entry, nowMs));
      return;
    }
    const stamp = `${nowMs.toString(16)}${(this.#sequence++).toString(16).padStart(4, '0')}`;
    const event = eventOf(object, { ...this.#options, type, reason, message, stamp, nowMs, component });
    this.#enqueue(() => this.#create(key, event, nowMs));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort(new Error('event recorder disposed'));
    this.#waiting.length = 0;
    await this.#running;
  }

  #enqueue(job: () => Promise<void>): void {
    if (this.#abort.signal.aborted) return;
    if (this.#waiting.length >= MAX_QUEUED_EVENTS) {
      this.#metrics?.eventsRecorded.inc({ result: 'dropped' });
      return;
    }
    this.#waiting.push(job);
    this.#running ??= this.#drain();
  }

  async #drain(): Promise<void> {
    await Promise.resolve(); // `#running` is set before the work begins
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      try {
        await next();
        this.#metrics?.eventsRecorded.inc({ result: 'written' });
      } catch (error) {
        if (this.#abort.signal.aborted) break;
        this.#metrics?.eventsRecorded.inc({ result: 'failed' });
        this.#deps.log.debug('event not written', { reason: messageOf(error) });
      }
    }
    this.#running = undefined; // in the turn the list was found empty: no event waits for the one after it
  }

  async #create(key: string, event: Event, nowMs: number): Promise<void> {
    const { signal } = this.#abort;
    const made = await this.#deps.client.create<Event>(resources.events, event, { signal });
    if (this.#known.size >= MAX_EVENT_KEYS) this.#known.delete(this.#known.keys().next().value ?? '');
    this.#known.set(key, { event: made, count: 1, lastMs: nowMs });
  }

  async #repeat(key: string, entry: Known, nowMs: number): Promise<void> {
    const { name, namespace } = entry.event.metadata;
    const patch = { count: entry.count, lastTimestamp: secondTime(nowMs) };
    const { signal } = this.#abort;
    try {
      await this.#deps.client.patch(resources.events, name, namespace, 'merge', patch, { signal });
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      this.#known.delete(key); // expired meanwhile: the next one starts a new Event
    }
  }
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
