import type { KubeObject } from '../../../src/api/kinds/meta.ts';
import type { HttpExchange, HttpRequest, HttpResponse } from '../../../src/net/http-exchange.ts';

interface Change {
  readonly revision: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
}

interface Watcher {
  readonly push: (text: string | undefined) => void;
}

const encoder = new TextEncoder();

/** One collection of ConfigMaps behind an HttpExchange, with faults on demand: what a network and etcd do. */
export class FakeApi {
  readonly objects = new Map<string, KubeObject>();
  readonly requests: HttpRequest[] = [];
  readonly #history: Change[] = [];
  readonly #watchers = new Set<Watcher>();
  #revision = 1;
  #oldest = 0;
  #uid = 0;
  #failures = 0;
  watchList: boolean | 'disabled' = true;

  get revision(): number {
    return this.#revision;
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  set(name: string, value: string): void {
    const present = this.objects.get(name);
    const object: KubeObject & { data: unknown } = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name,
        namespace: 'default',
        uid: present?.metadata.uid ?? `uid-${++this.#uid}`,
        resourceVersion: String(++this.#revision),
      },
      data: { value },
    };
    this.objects.set(name, object);
    this.#publish({ revision: this.#revision, type: present ? 'MODIFIED' : 'ADDED', object });
  }

  delete(name: string): void {
    const present = this.objects.get(name);
    if (!present) return;
    this.objects.delete(name);
    const metadata = { ...present.metadata, resourceVersion: String(++this.#revision) };
    this.#publish({ revision: this.#revision, type: 'DELETED', object: { ...present, metadata } });
  }

  /** Ends every watch, as a restart does. */
  drop(): void {
    for (const watcher of this.#watchers) watcher.push(undefined);
  }

  /** Forgets history: watches from older revisions get 410. */
  compact(): void {
    this.#oldest = this.#revision;
    this.#history.length = 0;
  }

  bookmark(): void {
    for (const watcher of this.#watchers) watcher.push(this.#bookmark(false));
  }

  failNext(count: number): void {
    this.#failures = count;
  }

  readonly exchange: HttpExchange = (request, signal) => {
    this.requests.push(request);
    if (this.#failures > 0) {
      this.#failures--;
      return Promise.reject(new Error('connection refused'));
    }
    const url = new URL(request.target, 'http://fake');
    const query = url.searchParams;
    if (query.get('watch') !== 'true') return Promise.resolve(this.#list(query));
    return Promise.resolve(this.#watch(query, signal));
  };

  #list(query: URLSearchParams): HttpResponse {
    const limit = Number(query.get('limit') ?? 1e9);
    const start = Number(query.get('continue') ?? 0);
    const all = [...this.objects.values()];
    const items = all.slice(start, start + limit).map(({ metadata, ...rest }) => {
      const { apiVersion: _, kind: __, ...fields } = { ...rest };
      return { metadata, ...fields };
    });
    const next = start + limit < all.length ? String(start + limit) : undefined;
    const metadata = { resourceVersion: String(this.#revision), ...(next && { continue: next }) };
    return json(200, { kind: 'ConfigMapList', apiVersion: 'v1', metadata, items });
  }

  #watch(query: URLSearchParams, signal: AbortSignal): HttpResponse {
    const initial = query.get('sendInitialEvents') === 'true';
    const disabled = line('ERROR', status(500, 'InternalError', 'RequestWatchProgress is disabled'));
    if (initial && this.watchList === 'disabled')
      return { status: 200, headers: {}, body: this.#stream([disabled, undefined], signal) };
    if (initial && !this.watchList) return json(422, status(422, 'Invalid', 'forbidden for watch'));
    const from = Number(query.get('resourceVersion') ?? 0);
    const lines: (string | undefined)[] = [];
    if (initial) {
      for (const object of this.objects.values()) lines.push(line('ADDED', object));
      lines.push(this.#bookmark(true));
    } else if (from < this.#oldest) {
      lines.push(line('ERROR', status(410, 'Expired', `too old resource version: ${from}`)), undefined);
    } else {
      for (const change of this.#history) {
        if (change.revision > from) lines.push(line(change.type, change.object));
      }
    }
    return { status: 200, headers: {}, body: this.#stream(lines, signal) };
  }

  #stream(lines: (string | undefined)[], signal: AbortSignal): AsyncIterable<Uint8Array> {
    let wake: (() => void) | undefined;
    const watcher: Watcher = {
      push: (text) => {
        lines.push(text);
        wake?.();
      },
    };
    this.#watchers.add(watcher);
    const watchers = this.#watchers;
    return (async function* () {
      try {
        for (;;) {
          while (lines.length === 0) {
            if (signal.aborted) throw signal.reason;
            await new Promise<void>((resolve) => {
              wake = resolve;
              signal.addEventListener('abort', () => resolve(), { once: true });
            });
          }
          const next = lines.shift();
          if (next === undefined) return;
          // Cut where it hurts: an event arrives in two pieces.
          const bytes = encoder.encode(next);
          yield bytes.subarray(0, bytes.length >> 1);
          yield bytes.subarray(bytes.length >> 1);
        }
      } finally {
        watchers.delete(watcher);
      }
    })();
  }

  #publish(change: Change): void {
    this.#history.push(change);
    for (const watcher of this.#watchers) watcher.push(line(change.type, change.object));
  }

  #bookmark(initialEventsEnd: boolean): string {
    const annotations = initialEventsEnd ? { 'k8s.io/initial-events-end': 'true' } : {};
    const metadata = { resourceVersion: String(this.#revision), annotations };
    return line('BOOKMARK', { kind: 'ConfigMap', apiVersion: 'v1', metadata });
  }
}

function line(type: string, object: unknown): string {
  return `${JSON.stringify({ type, object })}\n`;
}

function status(code: number, reason: string, message: string): Record<string, unknown> {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code, reason, message };
}

export function json(code: number, body: unknown, headers: Record<string, string> = {}): HttpResponse {
  const bytes = encoder.encode(typeof body === 'string' ? body : JSON.stringify(body));
  return {
    status: code,
    headers,
    body: (async function* () {
      yield await Promise.resolve(bytes);
    })(),
  };
}
