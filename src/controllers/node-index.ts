import type { Pod } from '../api/kinds/pod.ts';

/** The index of pods by the node they are bound to, and its name: all controllers share one. */
export const NODE_INDEX = 'node-name';

export function nodeIndex(pod: Pod): readonly string[] {
  return pod.spec.nodeName ? [pod.spec.nodeName] : [];
}
