/** Sorted, disjoint, inclusive intervals: how a Job's status says which indexes are done (`0-2,5`). */
export type IndexIntervals = readonly (readonly [from: number, to: number])[];

const PART = /^(\d{1,9})(?:-(\d{1,9}))?$/;

/** Parts that are none, or beyond `limit`, are left out: the text may be a user's. */
export function parseIndexes(text: string | undefined, limit: number): IndexIntervals {
  const intervals: [number, number][] = [];
  for (const part of text ? text.split(',') : []) {
    const match = PART.exec(part.trim());
    if (!match) continue;
    const from = Number(match[1]);
    const to = Math.min(Number(match[2] ?? match[1]), limit - 1);
    if (from <= to) intervals.push([from, to]);
  }
  return merged(intervals);
}

export function formatIndexes(intervals: IndexIntervals): string {
  const parts = intervals.map(([from, to]) =>
    from === to ? String(from) : `${from}${to === from + 1 ? ',' : '-'}${to}`,
  );
  return parts.join(',');
}

export function addIndexes(intervals: IndexIntervals, indexes: Iterable<number>): IndexIntervals {
  return merged([...intervals, ...Array.from(indexes, (index): [number, number] => [index, index])]);
}

export function countIndexes(intervals: IndexIntervals): number {
  return intervals.reduce((sum, [from, to]) => sum + to - from + 1, 0);
}

export function hasIndex(intervals: IndexIntervals, index: number): boolean {
  let [low, high] = [0, intervals.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const [from, to] = intervals[middle] ?? [0, -1];
    if (index < from) high = middle - 1;
    else if (index > to) low = middle + 1;
    else return true;
  }
  return false;
}

function merged(intervals: readonly (readonly [number, number])[]): IndexIntervals {
  const sorted = [...intervals].sort((a, b) => a[0] - b[0]);
  const out: [number, number][] = [];
  for (const [from, to] of sorted) {
    const last = out.at(-1);
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else out.push([from, to]);
  }
  return out;
}
