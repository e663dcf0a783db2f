import type { KubeObject } from '../kinds/meta.ts';

/** Parts remembered; the oldest is forgotten first. With PART_CHARACTERS_MAX this bounds the memory to a few MiB. */
export const PARTS_MAX = 2_048;
/** Shorter parts cost less than remembering them, longer ones are seldom alike. */
const PART_CHARACTERS_MIN = 24;
const PART_CHARACTERS_MAX = 4_096;
const TEXT_CHARACTERS_MAX = 64;

/**
 * Objects made from one template differ in few places: 100,000 pods hold the same containers, probes and labels
 * 100,000 times over. This keeps one copy of parts that are equal, among those seen lately. The parts are replaced in
 * place, so the object must be private; from then on it and its parts belong to everybody and must be frozen.
 */
export class SharedParts {
  readonly #parts = new Map<string, object>();
  readonly #texts = new Map<string, string>();
  readonly #max: number;

  constructor(max = PARTS_MAX) {
    this.#max = max;
  }

  share<T extends KubeObject>(object: T): T {
    for (const [name, section] of Object.entries(object)) {
      // Strings of metadata are its own: name, uid, times.
      if (isPart(section)) this.#shareIn(section, name !== 'metadata');
    }
    return object;
  }

  #shareIn(container: Record<string, unknown>, strings: boolean): void {
    for (const [key, part] of Object.entries(container)) {
      if (isPart(part)) container[key] = this.#shared(part);
      else if (strings && typeof part === 'string') container[key] = this.#sharedText(part);
    }
  }

  #sharedText(text: string): string {
    if (text.length > TEXT_CHARACTERS_MAX) return text;
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    remember(this.#texts, text, text, this.#max);
    return text;
  }

  #shared(part: Record<string, unknown>): object {
    const text = JSON.stringify(part);
    if (text.length < PART_CHARACTERS_MIN) return part;
    const known = text.length > PART_CHARACTERS_MAX ? undefined : this.#parts.get(text);
    if (known) return known;
    // One name in it may be its own (a container's token volume): its parts may still be alike.
    if (Array.isArray(part))
      for (const element of part as unknown[]) if (isPart(element)) this.#shareIn(element, true);
    if (text.length <= PART_CHARACTERS_MAX) remember(this.#parts, text, part, this.#max);
    return part;
  }
}

function remember<V>(known: Map<string, V>, text: string, value: V, max: number): void {
  const [oldest] = known.size >= max ? known.keys() : [];
  if (oldest !== undefined) known.delete(oldest);
  known.set(text, value);
}

/** An object or array. */
function isPart(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
