import type { KubeObject } from '../kinds/meta.ts';

/** Parts remembered at most, and as many texts. With PART_CHARACTERS_MAX this bounds the memory to a few MiB. */
export const PARTS_MAX = 2_048;
/** Longer parts are seldom alike. */
const PART_CHARACTERS_MAX = 4_096;
const TEXT_CHARACTERS_MAX = 64;
/** In metadata no two objects have the same; namespace, generateName and times they often do. */
const OWN_TEXTS: ReadonlySet<string> = new Set(['name', 'uid', 'resourceVersion']);
const NO_TEXTS: ReadonlySet<string> = new Set();

/**
 * Objects made from one template differ in few places: 100,000 pods hold the same containers, probes and labels
 * 100,000 times over. This keeps one copy of parts that are equal, among those seen lately. The parts are replaced in
 * place, so the object must be private; from then on it and its parts belong to everybody and must be frozen.
 */
export class SharedParts {
  readonly #parts: Lately<object>;
  readonly #texts: Lately<string>;

  constructor(max = PARTS_MAX) {
    this.#parts = new Lately(max);
    this.#texts = new Lately(max);
  }

  share<T extends KubeObject>(object: T): T {
    for (const [name, section] of Object.entries(object)) {
      if (isPart(section)) this.#shareIn(section, name === 'metadata' ? OWN_TEXTS : NO_TEXTS);
    }
    return object;
  }

  #shareIn(container: Record<string, unknown>, ownTexts: ReadonlySet<string>): void {
    // Not `for in`: a write that changes the hidden class throws its compiled loop away, each time.
    for (const key of Object.keys(container)) {
      const part = container[key];
      if (isPart(part)) {
        const shared = this.#shared(part);
        if (shared !== part) container[key] = shared;
      } else if (typeof part === 'string' && !ownTexts.has(key)) {
        container[key] = this.#sharedText(part); // equal texts cannot be told apart, so it is always written
      }
    }
  }

  #sharedText(text: string): string {
    return text.length > TEXT_CHARACTERS_MAX ? text : this.#texts.get(text, text);
  }

  #shared(part: Record<string, unknown>): object {
    const text = JSON.stringify(part);
    if (text.length <= PART_CHARACTERS_MAX) {
      const known = this.#parts.get(text, part);
      if (known !== part) return known;
    }
    // One name in it may be its own (a container's token volume): its parts may still be alike.
    if (Array.isArray(part)) {
      for (const element of part as unknown[]) if (isPart(element)) this.#shareIn(element, NO_TEXTS);
    }
    return part;
  }
}

/** What was asked for among the last `max` to twice as many different texts: two generations, the older one goes. */
class Lately<V> {
  readonly #max: number;
  #younger = new Map<string, V>();
  #older = new Map<string, V>();

  constructor(max: number) {
    this.#max = max / 2;
  }

  /** What is known by the text, else `value`, which is known from now on. */
  get(text: string, value: V): V {
    const younger = this.#younger.get(text);
    if (younger !== undefined) return younger;
    const known = this.#older.get(text) ?? value;
    if (this.#younger.size >= this.#max) {
      this.#older = this.#younger;
      this.#younger = new Map();
    }
    this.#younger.set(text, known);
    return known;
  }
}

/** An object or array. */
function isPart(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
