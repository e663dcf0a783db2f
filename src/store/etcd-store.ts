import { randomInt } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { Fault, hasCode } from '../base/fault.ts';
import type { Logger } from '../base/log.ts';
import { EtcdConnection } from './etcd/connection.ts';
import type { EtcdEndpoints } from './etcd/connection.ts';
import { compactEtcd, readCompactedRevision } from './etcd/compaction.ts';
import { watchEtcd } from './etcd/etcd-watch.ts';
import { etcdFault } from './etcd/faults.ts';
import { KeySpace } from './etcd/key-space.ts';
import * as api from './etcd/messages.ts';
import { rangeEtcd } from './etcd/range.ts';
import { BATCH_WRITES_BOUNDS, COMMIT_SECONDS_BOUNDS, Histogram } from './histogram.ts';
import { checkKey, checkValue } from './keys.ts';
import { LEASE_TTL_SECONDS_MAX } from './limits.ts';
import * as store from './store.ts';
import type { Store, StoreEntry, StoreWatchBatch, WriteResult } from './store.ts';
import { compactedFault } from './versions.ts';

export interface EtcdStoreOptions extends EtcdEndpoints {
  /** Put before each key. No store's prefix may begin with that of another. */
  readonly prefix: string;
}

/**
 * Connects to an etcd 3.4 or newer.
 * @throws Fault STORE_UNAVAILABLE when no member answers, STORE_OPEN_FAILED for a bad address
 */
export async function openEtcdStore(
  deps: { clock: Clock; log: Logger },
  options: EtcdStoreOptions,
): Promise<EtcdStore> {
  const log = deps.log.with({ part: 'etcd' });
  const random = (): number => randomInt(0, 1_000_000) / 1_000_000;
  const connection = new EtcdConnection({ clock: deps.clock, log, random }, options);
  try {
    const compacted = await readCompactedRevision(connection);
    const members = await connection.ofEach(api.STATUS, {});
    const versions = members.flatMap(({ response }) => response?.version ?? []);
    return new EtcdStore(
      { clock: deps.clock, log, connection },
      { prefix: options.prefix, compacted, versions },
    );
  } catch (error) {
    connection[Symbol.dispose]();
    throw error;
  }
}

export interface EtcdMemberStatus {
  readonly address: string;
  /** undefined = it does not answer. */
  readonly version: string | undefined;
  readonly sizeBytes: number;
  readonly usedBytes: number;
}

export class EtcdStore implements Store {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #connection: EtcdConnection;
  readonly #keys: KeySpace;
  readonly #progressOnRequest: boolean;
  readonly #writeSeconds = new Histogram(COMMIT_SECONDS_BOUNDS);
  readonly #batchWrites = new Histogram(BATCH_WRITES_BOUNDS);
  #failedWrites = 0;
  #watchers = 0;
  #compacted: number;
  /** The newest revision any answer carried. */
  #seen = 0;

  constructor(
    deps: { clock: Clock; log: Logger; connection: EtcdConnection },
    options: { prefix: string; compacted: number; versions: readonly string[] },
  ) {
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#connection = deps.connection;
    this.#keys = new KeySpace(options.prefix);
    this.#compacted = options.compacted;
    this.#progressOnRequest = options.versions.length > 0 && options.versions.every(answersProgressInOrder);
  }

  async currentRevision(): Promise<number> {
    const key = this.#keys.toBytes('');
    const response = await this.#connection.call(api.RANGE, { key, limit: 1, count_only: true });
    return this.#note(response.header);
  }

  compactedRevision(): number {
    return this.#compacted;
  }

  async get(key: string, revision = 0): Promise<{ entry: StoreEntry | undefined; revision: number }> {
    this.#checkHistory(revision);
    const response = await this.#connection.call(api.RANGE, { key: this.#keys.toBytes(key), revision });
    const newest = this.#note(response.header);
    const kv = response.kvs[0];
    return { entry: kv && this.#keys.toEntry(kv), revision: revision || newest };
  }

  async range(prefix: string, options: store.RangeOptions = {}): Promise<store.RangeResult> {
    this.#checkHistory(options.revision ?? 0);
    return await rangeEtcd({ connection: this.#connection, keys: this.#keys }, prefix, options);
  }

  async put(
    key: string,
    value: Uint8Array,
    expected?: number,
    options: store.PutOptions = {},
  ): Promise<WriteResult> {
    checkKey(key);
    checkValue(key, value);
    const lease = options.leaseId ?? '0';
    if (!isLeaseId(lease)) throw new Fault(store.STORE_LEASE_NOT_FOUND, `no lease ${lease}`);
    const bytes = this.#keys.toBytes(key);
    const own = Buffer.from(value); // the caller may change it while the request waits
    const compare = expected === undefined ? [] : [modRevisionIs(bytes, expected)];
    return await this.#write(bytes, compare, {
      request_put: { key: bytes, value: own, lease, prev_kv: true },
    });
  }

  async delete(key: string, expected?: number): Promise<WriteResult> {
    checkKey(key);
    const bytes = this.#keys.toBytes(key);
    if (expected === 0) {
      const { entry, revision } = await this.get(key);
      return { ok: false, current: entry, revision };
    }
    const compare = [expected === undefined ? modRevisionIsNot(bytes, 0) : modRevisionIs(bytes, expected)];
    return await this.#write(bytes, compare, { request_delete_range: { key: bytes, prev_kv: true } });
  }

  async *watch(prefix: string, fromRevision: number, signal: AbortSignal): AsyncGenerator<StoreWatchBatch> {
    if (this.#connection.closing.aborted) throw new Fault(store.STORE_CLOSED, 'the store is closed');
    if (fromRevision < this.#compacted) throw compactedFault(fromRevision, this.#compacted);
    this.#watchers++;
    try {
      const deps = {
        clock: this.#clock,
        log: this.#log,
        connection: this.#connection,
        keys: this.#keys,
        progressOnRequest: this.#progressOnRequest,
        onCompacted: (revision: number) => this.#noteCompacted(revision),
      };
      for await (const batch of watchEtcd(deps, prefix, fromRevision, signal)) {
        this.#seen = Math.max(this.#seen, batch.revision);
        yield batch;
      }
    } finally {
      this.#watchers--;
    }
  }

  async compact(revision: number): Promise<void> {
    await compactEtcd(this.#connection, revision);
    this.#noteCompacted(revision);
  }

  async grantLease(ttlSeconds: number): Promise<string> {
    if (!(ttlSeconds >= 1 && ttlSeconds <= LEASE_TTL_SECONDS_MAX)) {
      throw new Fault(store.STORE_INVALID, `a lease of ${ttlSeconds} s; it must be at least 1 s`);
    }
    const { ID } = await this.#connection.call(api.LEASE_GRANT, { TTL: Math.ceil(ttlSeconds) });
    return api.toText(ID);
  }

  async renewLease(leaseId: string): Promise<boolean> {
    if (!isLeaseId(leaseId)) return false;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#keepAlive(leaseId);
      } catch (error) {
        this.#connection.failOver(error);
        if (attempt === 2) throw etcdFault(error, true);
        await this.#connection.pause(attempt);
      }
    }
  }

  async revokeLease(leaseId: string): Promise<void> {
    if (!isLeaseId(leaseId)) return;
    try {
      await this.#connection.call(api.LEASE_REVOKE, { ID: leaseId });
    } catch (error) {
      if (!hasCode(error, store.STORE_LEASE_NOT_FOUND)) throw error;
    }
  }

  async leaseTtlSeconds(leaseId: string): Promise<number | undefined> {
    if (!isLeaseId(leaseId)) return undefined;
    const { TTL, grantedTTL } = await this.#connection.call(api.LEASE_TTL, { ID: leaseId });
    return api.toNumber(TTL) < 0 ? undefined : api.toNumber(grantedTTL);
  }

  stats(): store.StoreStats {
    return {
      revision: this.#seen,
      compactedRevision: this.#compacted,
      watchers: this.#watchers,
      writes: this.#batchWrites.sum,
      commits: this.#writeSeconds.count,
      failedCommits: this.#failedWrites,
      commitSeconds: this.#writeSeconds.snapshot(),
      batchWrites: this.#batchWrites.snapshot(),
    };
  }

  /** One row for each endpoint. */
  async memberStatus(): Promise<EtcdMemberStatus[]> {
    const members = await this.#connection.ofEach(api.STATUS, {});
    return members.map(({ address, response }) => ({
      address,
      version: response?.version,
      sizeBytes: api.toNumber(response?.dbSize ?? 0),
      usedBytes: api.toNumber(response?.dbSizeInUse ?? 0),
    }));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#connection[Symbol.dispose]();
    return Promise.resolve();
  }

  /** The write when the comparisons hold, else what is there: one transaction, one answer. */
  async #write(key: Buffer, compare: readonly object[], write: object): Promise<WriteResult> {
    const startMs = this.#clock.monotonicMs();
    let response: api.TxnResponse;
    try {
      const failure = [{ request_range: { key } }];
      response = await this.#connection.call(api.TXN_WRITE, { compare, success: [write], failure });
    } catch (error) {
      this.#failedWrites++;
      throw error;
    }
    const revision = this.#note(response.header);
    const answer = response.responses[0];
    if (!response.succeeded) {
      const current = answer?.response_range?.kvs[0];
      return { ok: false, current: current && this.#keys.toEntry(current), revision };
    }
    this.#writeSeconds.observe((this.#clock.monotonicMs() - startMs) / 1000);
    this.#batchWrites.observe(1);
    const previous = answer?.response_put?.prev_kv ?? answer?.response_delete_range?.prev_kvs[0];
    return { ok: true, revision, previous: previous ? this.#keys.toEntry(previous) : undefined };
  }

  async #keepAlive(leaseId: string): Promise<boolean> {
    const stream = await this.#connection.stream(api.LEASE_KEEP_ALIVE);
    stream.write({ ID: leaseId });
    stream.end();
    for await (const answer of stream as AsyncIterable<{ TTL: api.Int64 }>)
      return api.toNumber(answer.TTL) > 0;
    throw new Fault(store.STORE_UNAVAILABLE, 'etcd did not answer a lease renewal');
  }

  #checkHistory(revision: number): void {
    if (this.#connection.closing.aborted) throw new Fault(store.STORE_CLOSED, 'the store is closed');
    if (revision !== 0 && revision < this.#compacted) throw compactedFault(revision, this.#compacted);
  }

  #note(header: api.ResponseHeader): number {
    const revision = api.toNumber(header.revision);
    this.#seen = Math.max(this.#seen, revision);
    return revision;
  }

  #noteCompacted(revision: number): void {
    this.#compacted = Math.max(this.#compacted, revision);
  }
}

/** etcd before 3.4.25 and 3.5.8 could answer a request for progress before the events it covers. */
function answersProgressInOrder(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  if (major !== 3 || minor > 5) return major > 3 || minor > 5;
  return minor === 5 ? patch >= 8 : minor === 4 && patch >= 25;
}

/** A positive 63-bit number in decimal. */
function isLeaseId(leaseId: string): boolean {
  return leaseId === '0' || (/^[1-9]\d{0,18}$/.test(leaseId) && BigInt(leaseId) < 2n ** 63n);
}

const EQUAL = 0;
const NOT_EQUAL = 3;
const MOD = 2;

function modRevisionIs(key: Buffer, mod_revision: number): object {
  return { result: EQUAL, target: MOD, key, mod_revision };
}

function modRevisionIsNot(key: Buffer, mod_revision: number): object {
  return { result: NOT_EQUAL, target: MOD, key, mod_revision };
}
