import { TALLY_WORDS, type TallyLabels, type TallyMemory } from '../observe/tallies.ts';
import { TALLIES_A_SLAB } from './limits.ts';

/** Memory for tallies that another thread reads: `announce` is told of each. */
export function sharedMemory(
  announce: (labels: TallyLabels, memory: Float64Array<SharedArrayBuffer>) => void,
): TallyMemory {
  let slab = new SharedArrayBuffer(0);
  let used = 0;
  return (labels) => {
    if (used === slab.byteLength) {
      slab = new SharedArrayBuffer(TALLIES_A_SLAB * TALLY_WORDS * 8);
      used = 0;
    }
    const memory = new Float64Array(slab, used, TALLY_WORDS);
    used += TALLY_WORDS * 8;
    announce(labels, memory);
    return memory;
  };
}
