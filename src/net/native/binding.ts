/**
 * koffi aborts the whole process when its thread is terminated while it binds a call or makes a callback: what it makes
 * then fails in its middle. So whoever binds says so in a word that whoever may end the thread reads first.
 */

/** What that word says. A thread that is loading cannot be ended either: koffi itself is loaded then. */
const STATE = { LOADING: 0, FREE: 1, BINDING: 2, ENDED: 3 } as const;

/** One word, LOADING while it is 0; shared by a thread and whoever may end it. */
export type ThreadState = Int32Array<SharedArrayBuffer>;

/** Of this thread; undefined in one that nobody ends, as the main one is. */
let own: ThreadState | undefined;

/** In a thread, before it binds anything. */
export function shareState(state: ThreadState): void {
  own = state;
}

/** In a thread, once it has loaded: from now on it may be ended. */
export function hasLoaded(state: ThreadState): void {
  Atomics.compareExchange(state, 0, STATE.LOADING, STATE.FREE);
}

/** Binds calls, or makes callbacks, without being ended meanwhile. */
export function binding<T>(bind: () => T): T {
  const state = own;
  const before = state ? Atomics.compareExchange(state, 0, STATE.FREE, STATE.BINDING) : STATE.LOADING;
  if (state && before === STATE.ENDED) for (;;) Atomics.wait(state, 0, STATE.ENDED); // the end is on its way
  try {
    return bind();
  } finally {
    if (state && before === STATE.FREE) Atomics.store(state, 0, STATE.FREE);
  }
}

/** True when the thread may be terminated now: it begins to bind nothing any more. False: ask again in a moment. */
export function mayEnd(state: ThreadState): boolean {
  const before = Atomics.compareExchange(state, 0, STATE.FREE, STATE.ENDED);
  return before === STATE.FREE || before === STATE.ENDED;
}
