import type { BlockSettings } from '../block-settings.ts';

export interface Gathered<T> {
  /** What the stanzas of the block have given so far; complete when plugins are opened. */
  readonly list: readonly T[];
  /** True for the first stanza of the block: the one that opens the plugin. */
  readonly first: boolean;
}

/** For directives whose stanzas in one block make one plugin together, in the order of the file. */
export function gathering<T>(): (block: BlockSettings, given: readonly T[]) => Gathered<T> {
  const lists = new WeakMap<BlockSettings, T[]>();
  return (block, given) => {
    const known = lists.get(block);
    const list = known ?? [];
    list.push(...given);
    if (!known) lists.set(block, list);
    return { list, first: known === undefined };
  };
}
