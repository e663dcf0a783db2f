import { Fault } from '../base/fault.ts';
import type { JournalBatch, LeaseRecord } from './journal.ts';
import type { Leases } from './leases.ts';
import { BATCH_BYTES_MAX, BATCH_WRITES_MAX } from './limits.ts';
import { STORE_LEASE_NOT_FOUND } from './store.ts';
import type { StoreEntry, WriteResult } from './store.ts';
import { entryOf } from './versions.ts';
import type { StoreWrite, Versions } from './versions.ts';

interface Settle<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

export type Request =
  | (Settle<WriteResult> & {
      readonly kind: 'put';
      readonly key: string;
      readonly value: Uint8Array;
      readonly expected: number | undefined;
      readonly leaseId: number;
    })
  | (Settle<WriteResult> & {
      readonly kind: 'delete';
      readonly key: string;
      readonly expected: number | undefined;
    })
  | (Settle<number> & { readonly kind: 'grant'; readonly lease: LeaseRecord })
  | (Settle<void> & { readonly kind: 'revoke'; readonly leaseId: number });

/**
 * Decides a run of requests in order, each against the state the ones before it leave behind, and collects what
 * must become durable. Answers that depend on this batch are kept until it is.
 */
export class BatchBuilder {
  readonly #versions: Versions;
  readonly #leases: Leases;
  /** State of the keys this batch touches; undefined = deleted. */
  readonly #touched = new Map<string, StoreEntry | undefined>();
  readonly #endedLeases = new Set<number>();
  readonly #writes: StoreWrite[] = [];
  readonly #granted: LeaseRecord[] = [];
  readonly #accepted: { readonly request: Request; readonly settle: () => void }[] = [];
  /** Conflicts with a write of this batch: to be decided again should it fail. */
  readonly #dependent: { readonly request: Request; readonly settle: () => void }[] = [];
  #revision: number;
  #bytes = 0;

  constructor(deps: { versions: Versions; leases: Leases }) {
    this.#versions = deps.versions;
    this.#leases = deps.leases;
    this.#revision = deps.versions.revision;
  }

  get full(): boolean {
    return this.#writes.length >= BATCH_WRITES_MAX || this.#bytes >= BATCH_BYTES_MAX;
  }

  get empty(): boolean {
    return this.#accepted.length === 0;
  }

  get batch(): JournalBatch {
    return { writes: this.#writes, granted: this.#granted, ended: [...this.#endedLeases] };
  }

  add(request: Request): void {
    switch (request.kind) {
      case 'put':
      case 'delete':
        return this.#addWrite(request);
      case 'grant':
        this.#granted.push(request.lease);
        return this.#accept(request, () => request.resolve(request.lease.id));
      case 'revoke':
        return this.#addRevoke(request);
    }
  }

  /** The batch is durable and applied: everybody hears. */
  succeed(): void {
    for (const { settle } of this.#accepted) settle();
    for (const { settle } of this.#dependent) settle();
  }

  /** The batch is not: its writers hear why; returns the requests to decide again. */
  fail(error: unknown): readonly Request[] {
    for (const { request } of this.#accepted) request.reject(error);
    return this.#dependent.map(({ request }) => request);
  }

  #addWrite(request: Request & { readonly kind: 'put' | 'delete' }): void {
    const { key, expected } = request;
    const current = this.#currentOf(key);
    const missing = request.kind === 'delete' && !current;
    if (missing || (expected !== undefined && expected !== (current?.modRevision ?? 0))) {
      return this.#conflict(request, current);
    }
    const leaseId = request.kind === 'put' ? request.leaseId : 0;
    if (leaseId !== 0 && (!this.#leases.has(leaseId) || this.#endedLeases.has(leaseId))) {
      return request.reject(new Fault(STORE_LEASE_NOT_FOUND, `lease ${leaseId} has ended`));
    }
    const revision = this.#write(key, request.kind === 'put' ? request.value : undefined, current, leaseId);
    this.#accept(request, () => request.resolve({ ok: true, revision, previous: current }));
  }

  #conflict(request: Request & { readonly kind: 'put' | 'delete' }, current: StoreEntry | undefined): void {
    const { key } = request;
    const settle = (): void => request.resolve({ ok: false, current, revision: this.#versions.revision });
    if (this.#touched.has(key)) this.#dependent.push({ request, settle });
    else settle();
  }

  #addRevoke(request: Request & { readonly kind: 'revoke' }): void {
    const { leaseId } = request;
    if (!this.#leases.has(leaseId) || this.#endedLeases.has(leaseId)) return request.resolve();
    const attached = new Set(this.#leases.keysOf(leaseId));
    for (const key of this.#touched.keys()) attached.add(key);
    for (const key of attached) {
      const current = this.#currentOf(key);
      if (current?.leaseId === String(leaseId)) this.#write(key, undefined, current, 0);
    }
    this.#endedLeases.add(leaseId);
    this.#accept(request, () => request.resolve());
  }

  #currentOf(key: string): StoreEntry | undefined {
    return this.#touched.has(key) ? this.#touched.get(key) : this.#versions.current(key);
  }

  #write(
    key: string,
    value: Uint8Array | undefined,
    current: StoreEntry | undefined,
    leaseId: number,
  ): number {
    const revision = ++this.#revision;
    const createRevision = current?.createRevision ?? revision;
    const write: StoreWrite = { revision, key, value, createRevision, leaseId };
    this.#writes.push(write);
    this.#touched.set(key, entryOf(write));
    this.#bytes += key.length + (value?.byteLength ?? 0);
    return revision;
  }

  #accept(request: Request, settle: () => void): void {
    this.#accepted.push({ request, settle });
  }
}
