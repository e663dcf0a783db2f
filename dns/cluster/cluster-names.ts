import type { SnapshotSource } from '../../endpoints/snapshot.ts';
import type { Clock } from '../../src/base/clock.ts';
import { absoluteName, foldName } from '../wire/name.ts';
import { LiveView } from './live-view.ts';
import { DEFAULT_CLUSTER_OPTIONS, isReverseZone, type ClusterOptions } from './options.ts';
import { PackedReader } from './table/packed-reader.ts';
import { readerOptions, type ReaderOptions } from './table/reader-options.ts';

export interface ClusterNamesOptions extends Partial<Omit<ClusterOptions, 'zones' | 'primaryZone'>> {
  /** `cluster.local` and the like. */
  readonly zones: readonly string[];
  /** Start big answers at another record each time; default true. */
  readonly rotate?: boolean;
}

/**
 * The names of a cluster as a table, without a server: feed a Tracker, give packets to `answer`. For embedding in
 * a resolver or another process.
 */
export class ClusterNames implements Disposable {
  readonly view: LiveView;
  /** What a reader on another thread must be given besides `view.table.buffers`. */
  readonly readerOptions: ReaderOptions;
  readonly #reader: PackedReader;
  readonly #subscription: Disposable;

  constructor(deps: { snapshots: SnapshotSource; clock: Clock }, options: ClusterNamesOptions) {
    const zones = options.zones.map((zone) => foldName(absoluteName(zone)));
    const primaryZone = zones.find((zone) => !isReverseZone(zone)) ?? '.';
    const { rotate = true, strict = false } = options;
    const all = { ...DEFAULT_CLUSTER_OPTIONS, ...options, zones, primaryZone, strict };
    this.view = new LiveView(deps, all);
    this.readerOptions = readerOptions(all, { ownsZone: () => true, foreignZones: [], rotate });
    this.#reader = new PackedReader(this.view.table.buffers, this.readerOptions);
    this.#subscription = this.view.table.onBuffers((buffers) => this.#reader.useBuffers(buffers));
  }

  /**
   * Answers the query in bytes[0, length) into `out` and returns the length of the answer; 0 = not from this table
   * (another zone, a type or name that needs the whole server, no plain query). Allocates nothing.
   */
  answer(bytes: Uint8Array, length: number, out: Uint8Array): number {
    return this.#reader.answer(bytes, length, out);
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
    this.view[Symbol.dispose]();
  }
}
