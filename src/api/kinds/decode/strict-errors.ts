import { MAX_STRICT_ERRORS } from '../limits.ts';

/** Collects what strict decoding complains of, each text once, up to the limit. */
export class StrictErrors {
  readonly #texts = new Set<string>();

  unknownField(path: string): void {
    this.#add(`unknown field ${JSON.stringify(path)}`);
  }

  duplicateField(path: string): void {
    this.#add(`duplicate field ${JSON.stringify(path)}`);
  }

  get texts(): string[] {
    return [...this.#texts];
  }

  #add(text: string): void {
    if (this.#texts.size < MAX_STRICT_ERRORS) this.#texts.add(text);
  }
}
