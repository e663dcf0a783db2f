import { foldName, labelBytes, splitLabels } from '../wire/name.ts';

/** Canonical order of names (RFC 4034 section 6.1): by labels from the right, each as lower-case octets. */
export function compareNames(a: string, b: string): number {
  const left = splitLabels(foldName(a));
  const right = splitLabels(foldName(b));
  const shared = Math.min(left.length, right.length);
  for (let i = 1; i <= shared; i++) {
    const x = left[left.length - i]!;
    const y = right[right.length - i]!;
    if (x === y) continue;
    const order = Buffer.compare(labelBytes(x) ?? Buffer.alloc(0), labelBytes(y) ?? Buffer.alloc(0));
    if (order !== 0) return order;
  }
  return left.length - right.length;
}
