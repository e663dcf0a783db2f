/** Those who want to hear of new versions of zones (`transfer`). */
export class ZoneListeners {
  readonly #listeners = new Set<(zone: string) => void>();

  subscribe(listener: (zone: string) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  changed(zone: string): void {
    for (const listener of this.#listeners) listener(zone);
  }
}
