import type { Clock } from '../../src/base/clock.ts';
import { countsMemory, sumOfCounts } from '../cluster/table/answer-counts.ts';
import { WATCHERS_MAX } from '../cluster/table/answer-ring.ts';
import { PackedReader } from '../cluster/table/packed-reader.ts';
import type { AskingClient } from '../cluster/table/raw-question.ts';
import type { AnswerWatcher } from '../answer-summary.ts';
import type { BlockSettings } from '../block-settings.ts';
import type { CompiledNames, FastSample, Plugin } from '../plugin.ts';
import { isWithin, parentName } from '../wire/name.ts';
import type { BlockTable, OpenBlock } from './blocks.ts';
import { CookieMaker } from './cookie-maker.ts';
import type { FastPath } from './datagram-engine.ts';
import { WatchedAnswers } from './watched-answers.ts';

export interface TablePathOptions {
  readonly listener: string;
  readonly proto: FastSample['proto'];
  readonly block: BlockSettings;
  readonly cookieSecret: Uint8Array;
  /** Told of what is answered. */
  readonly watchers: readonly AnswerWatcher[];
}

/** How one listener answers over each of its transports. */
export interface FastPaths {
  /** undefined = it has connections only. */
  readonly datagram: TablePath | undefined;
  readonly stream: TablePath;
}

/** A reader of the compiled table for one listener and protocol. */
export class TablePath implements FastPath, Disposable {
  readonly names: CompiledNames;
  readonly cookieSecret: Uint8Array;
  readonly sample: FastSample;
  readonly #reader: PackedReader;
  readonly #subscription: Disposable;
  readonly #memories: Float64Array[];
  readonly #watch: (slots?: number) => WatchedAnswers | undefined;
  readonly #watched: WatchedAnswers | undefined;

  constructor(deps: { clock: Clock }, options: TablePathOptions, names: CompiledNames) {
    const { listener, proto, block, cookieSecret, watchers } = options;
    this.#watch = (slots) =>
      watchers.length > 0 ? new WatchedAnswers(deps.clock, watchers, proto, slots) : undefined;
    this.#watched = this.#watch(1); // told of each at once
    this.names = names;
    this.cookieSecret = cookieSecret;
    const cookies = new CookieMaker(deps, cookieSecret);
    this.#reader = new PackedReader(names.table.buffers, names.options, {
      cookies,
      watched: this.#watched?.memory,
      stream: proto === 'tcp',
    });
    this.#memories = [this.#reader.counts.memory];
    const words = (): Float64Array => sumOfCounts(this.#memories);
    this.sample = { listener, proto, block, zones: names.options.blockZones, words };
    this.#subscription = names.table.onBuffers((buffers) => this.#reader.useBuffers(buffers));
  }

  answer(bytes: Uint8Array, length: number, out: Uint8Array, client: AskingClient): number {
    return this.#reader.answer(bytes, length, out, client);
  }

  settle(seconds: number): void {
    this.#reader.settle(seconds);
    this.#watched?.drain();
  }

  countsMemory(): Float64Array {
    const memory = countsMemory(this.names.options.blockZones.length, true);
    this.#memories.push(memory);
    return memory;
  }

  watchedAnswers(): WatchedAnswers | undefined {
    return this.#watch();
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
  }
}

/**
 * The fast paths of a listener: the first of its blocks with a compiled table that nothing in front of it changes or
 * must see. Names that another block or plugin answers are left to the slow path.
 */
export function fastPathsOf(
  deps: { clock: Clock },
  options: Omit<TablePathOptions, 'proto' | 'block' | 'watchers'> & { readonly hasDatagrams: boolean },
  table: BlockTable,
): FastPaths | undefined {
  for (const block of new Set(table.blocks)) {
    const at = block.plugins.findIndex((plugin) => plugin.compiled !== undefined);
    const inFront = block.plugins.slice(0, at);
    if (at < 0 || block.settings.filters.length > 0) continue;
    if (!inFront.every(bypassed)) continue;
    const watchers = inFront.flatMap(({ watch }) => watch ?? []);
    if (watchers.length > WATCHERS_MAX) continue;
    const gates = inFront.flatMap(({ gate }) => (gate ? [gate] : []));
    if (gates.length > 1) continue;
    const zonesInFront = inFront.flatMap((plugin) => plugin.ownsZones ?? []);
    const names = block.plugins[at]!.compiled!({
      ownsZone: (zone) => reaches(table, block, zone, zonesInFront),
      blockZoneOf: (zone) => zoneAround(table, zone),
      foreignZones: [...zonesOfOthers(table, block), ...zonesInFront],
      rotate: inFront.some(({ name }) => name === 'loadbalance'),
      gate: gates[0],
      nsid: inFront.find(({ serverId }) => serverId !== undefined)?.serverId,
    });
    if (!names) continue;
    const path = { ...options, block: block.settings, watchers };
    const { hasDatagrams } = options;
    return {
      datagram: hasDatagrams ? new TablePath(deps, { ...path, proto: 'udp' }, names) : undefined,
      stream: new TablePath(deps, { ...path, proto: 'tcp' }, names),
    };
  }
  return undefined;
}

function bypassed({ transparent, gate, watch }: Plugin): boolean {
  return transparent === true || gate !== undefined || watch !== undefined;
}

/** Zones that another block of the listener answers, alone or beside this one. */
function zonesOfOthers(table: BlockTable, block: OpenBlock): string[] {
  return [...table.zones].filter((zone) => table.blocksOf(zone).some((other) => other !== block));
}

/** True when questions for the apex of `zone` come to this block alone and pass every plugin in front of the table. */
function reaches(
  table: BlockTable,
  block: OpenBlock,
  zone: string,
  zonesInFront: readonly string[],
): boolean {
  if (zonesInFront.some((other) => isWithin(zone, other))) return false;
  const blocks = table.blocksOf(zoneAround(table, zone));
  return blocks.length > 0 && blocks.every((one) => one === block);
}

/** The zone of the server block that takes questions for the apex of `zone`; the root when there is none. */
function zoneAround(table: BlockTable, zone: string): string {
  let name = zone;
  while (name !== '.' && table.blocksOf(name).length === 0) name = parentName(name);
  return name;
}
