import { hash } from 'node:crypto';
import { type Manifests, parseManifests } from './manifest-parse.ts';

interface Remembered {
  /** Of the text. */
  readonly digest: string;
  readonly found: Manifests;
}

/**
 * What was in files when they were last read, so that a reading costs what changed since: parsing takes a hundred times as long as
 * reading. Of objects only the file is known then, not the line, which would keep the whole document.
 */
export class ManifestMemory {
  #before = new Map<string, Remembered>();
  #now = new Map<string, Remembered>();

  /** As `parseManifests`. */
  readonly parse = (text: string, file: string): Manifests => {
    const digest = hash('sha256', text);
    const known = this.#before.get(file);
    const found = known?.digest === digest ? known.found : withoutLines(parseManifests(text, file));
    this.#now.set(file, { digest, found });
    return found;
  };

  /** All files have been read: those that were not are gone. */
  turn(): void {
    this.#before = this.#now;
    this.#now = new Map();
  }
}

function withoutLines({ objects, errors }: Manifests): Manifests {
  return { objects: objects.map(({ object, file }) => ({ object, file, lineOf: firstLine })), errors };
}

const firstLine = (): number => 1;
