import type { EndpointGroup, EndpointState } from '../upstream/cluster.ts';

/** Points of each endpoint on the ring: with 160 the shares differ by some 10 %. */
const POINTS_PER_ENDPOINT = 160;

/** 32-bit hash of text: FNV-1a with the finisher of MurmurHash3, so that close keys land far apart. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** A consistent hash ring: an endpoint that comes or goes moves only its own share of keys. */
export class Ring {
  readonly #points: Uint32Array;
  readonly #owners: readonly EndpointState[];

  constructor(endpoints: readonly EndpointState[]) {
    const made: { point: number; endpoint: EndpointState }[] = [];
    for (const endpoint of endpoints) {
      for (let i = 0; i < POINTS_PER_ENDPOINT; i++)
        made.push({ point: hashText(`${endpoint.id}#${i}`), endpoint });
    }
    made.sort((a, b) => a.point - b.point);
    this.#points = Uint32Array.from(made, ({ point }) => point);
    this.#owners = made.map(({ endpoint }) => endpoint);
  }

  /** Endpoints in ring order from the key on, each once. */
  *walk(key: string): Generator<EndpointState> {
    const count = this.#points.length;
    const start = this.#after(hashText(key));
    const seen = new Set<EndpointState>();
    for (let i = 0; i < count; i++) {
      const owner = this.#owners[(start + i) % count]!;
      if (seen.has(owner)) continue;
      seen.add(owner);
      yield owner;
    }
  }

  #after(hash: number): number {
    let low = 0;
    let high = this.#points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#points[middle]! < hash) low = middle + 1;
      else high = middle;
    }
    return low === this.#points.length ? 0 : low;
  }
}

/** The ring over the cluster's endpoints, made once for each set of them. */
export function ringOf(cluster: EndpointGroup): Ring {
  const known = cluster.derived.get('ring');
  if (known instanceof Ring) return known;
  const ring = new Ring(cluster.endpoints);
  cluster.derived.set('ring', ring);
  return ring;
}
