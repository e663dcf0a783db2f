/** What several watches send, made piece by piece for the first of them. */
interface Shared {
  readonly state: number;
  readonly pieces: Uint8Array[];
  readonly rest: Iterator<Uint8Array>;
  users: number;
}

/** What a watch sends first, in pieces of about WATCH_CHUNK_BYTES; disposed when they have been sent. */
export interface Beginning extends Disposable {
  readonly pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/**
 * What watches begin with, serialized once for all that begin at the same state: five hundred of them would copy
 * hundreds of megabytes, and each 64 MiB of garbage is a full collection. Nothing is kept when nobody sends it.
 */
export class Beginnings {
  readonly #shared = new Map<string, Shared>();

  /** @param state changes with what `make` gives */
  open(key: string, state: number, make: () => Iterator<Uint8Array>): Beginning {
    const known = this.#shared.get(key);
    const shared = known?.state === state ? known : { state, pieces: [], rest: make(), users: 0 };
    this.#shared.set(key, shared);
    shared.users++;
    return {
      pieces: piecesOf(shared),
      [Symbol.dispose]: () => {
        shared.users--;
        if (shared.users === 0 && this.#shared.get(key) === shared) this.#shared.delete(key);
      },
    };
  }

  /** States that somebody sends. */
  get size(): number {
    return this.#shared.size;
  }
}

function* piecesOf({ pieces, rest }: Shared): Generator<Uint8Array> {
  for (let at = 0; ; at++) {
    if (at === pieces.length) {
      const next = rest.next();
      if (next.done) return;
      pieces.push(next.value);
    }
    yield pieces[at]!;
  }
}
