/** Cuts a list into slices, each twice as long as the one before, so that the first is done soon and all not much later. */
export function growingSlices<T>(items: readonly T[], firstSize: number): readonly (readonly T[])[] {
  const slices: (readonly T[])[] = [];
  let from = 0;
  for (let size = firstSize; from < items.length; size *= 2) {
    slices.push(items.slice(from, from + size));
    from += size;
  }
  return slices.length > 0 ? slices : [[]];
}
