import { parentName } from '../wire/name.ts';
import type { BlockSettings } from '../block-settings.ts';
import type { Plugin } from '../plugin.ts';
import type { Handler, Query } from '../query.ts';

/** A server block that is open: its plugins and the handler they make. */
export interface OpenBlock {
  readonly settings: BlockSettings;
  readonly plugins: readonly Plugin[];
  readonly handler: Handler;
}

export interface Chosen {
  readonly block: OpenBlock;
  readonly zone: string;
  readonly view: string;
}

/** The blocks of one listener by zone. */
export class BlockTable {
  readonly #byZone = new Map<string, OpenBlock[]>();

  constructor(entries: readonly { readonly zone: string; readonly block: OpenBlock }[]) {
    for (const { zone, block } of entries) {
      const blocks = this.#byZone.get(zone);
      if (blocks) blocks.push(block);
      else this.#byZone.set(zone, [block]);
    }
  }

  get blocks(): readonly OpenBlock[] {
    return [...this.#byZone.values()].flat();
  }

  get zones(): Iterable<string> {
    return this.#byZone.keys();
  }

  /** Those that name exactly this zone, in order. */
  blocksOf(zone: string): readonly OpenBlock[] {
    return this.#byZone.get(zone) ?? [];
  }

  /**
   * The longest zone that holds the name, and in it the first block whose views all agree. A DS question belongs to
   * the parent side of a cut, so a zone's own apex is passed over for it when a shorter zone exists.
   */
  choose(query: Query): Chosen | undefined {
    let fallback: Chosen | undefined;
    for (let name = query.name; ; name = parentName(name)) {
      for (const block of this.#byZone.get(name) ?? []) {
        if (!block.settings.filters.every((filter) => filter.test(query))) continue;
        const chosen = { block, zone: name, view: block.settings.filters[0]?.name ?? '' };
        if (query.question.type !== 'DS' || name !== query.name) return chosen;
        fallback ??= chosen;
      }
      if (name === '.') return fallback;
    }
  }
}
