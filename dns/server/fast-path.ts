import { type FastCounts, PackedReader } from '../cluster/table/packed-reader.ts';
import type { CompiledNames, FastSample } from '../plugin.ts';
import { isWithin, parentName } from '../wire/name.ts';
import type { BlockTable, OpenBlock } from './blocks.ts';
import type { FastAnswer, FastPath } from './datagram-engine.ts';

/** A reader of the compiled table for one listener. */
export class TablePath implements FastPath, Disposable {
  readonly answer: FastAnswer;
  readonly sample: FastSample;
  readonly names: CompiledNames;
  readonly #subscription: Disposable;
  readonly #elsewhere: (() => Readonly<FastCounts>)[] = [];

  constructor(listener: string, zone: string, names: CompiledNames) {
    const reader = new PackedReader(names.table.buffers, names.options);
    this.names = names;
    this.answer = (bytes, length, out) => reader.answer(bytes, length, out);
    const counts = (): FastCounts =>
      this.#elsewhere.reduce((sum, one) => added(sum, one()), { ...reader.counts });
    this.sample = {
      listener,
      zone,
      get counts() {
        return counts();
      },
    };
    this.#subscription = names.table.onBuffers((buffers) => reader.useBuffers(buffers));
  }

  addCounts(counts: () => Readonly<FastCounts>): void {
    this.#elsewhere.push(counts);
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
  }
}

function added(sum: FastCounts, more: Readonly<FastCounts>): FastCounts {
  for (const name of Object.keys(sum) as (keyof FastCounts)[]) sum[name] += more[name];
  return sum;
}

/**
 * The fast path of a listener: the first of its blocks with a compiled table that nothing in front of it changes or
 * must see. Names that another block or plugin answers are left to the slow path.
 */
export function fastPathOf(listener: string, table: BlockTable): TablePath | undefined {
  for (const block of new Set(table.blocks)) {
    const at = block.plugins.findIndex((plugin) => plugin.compiled !== undefined);
    const inFront = block.plugins.slice(0, at);
    if (at < 0 || block.settings.filters.length > 0) continue;
    if (!inFront.every((plugin) => plugin.transparent === true)) continue;
    const zonesInFront = inFront.flatMap((plugin) => plugin.ownsZones ?? []);
    const names = block.plugins[at]!.compiled!({
      ownsZone: (zone) => reaches(table, block, zone, zonesInFront),
      foreignZones: [...zonesOfOthers(table, block), ...zonesInFront],
      rotate: inFront.some(({ name }) => name === 'loadbalance'),
    });
    const zone = block.settings.zones[0] ?? '.';
    if (names) return new TablePath(listener, zone, names);
  }
  return undefined;
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
  for (let name = zone; ; name = parentName(name)) {
    const blocks = table.blocksOf(name);
    if (blocks.length > 0) return blocks.every((one) => one === block);
    if (name === '.') return false;
  }
}
