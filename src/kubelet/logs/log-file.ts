import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Files of one log from the oldest to the current one. */
export function logParts(path: string, filesMax: number): string[] {
  const parts = [path];
  for (let number = 1; number < filesMax; number++) {
    if (existsSync(`${path}.${number}`)) parts.unshift(`${path}.${number}`);
  }
  return parts;
}

/**
 * An append-only file that is renamed to .1 (then .2 ...) when it is full; the oldest part is overwritten.
 * Writers call one after the other. A full disk loses lines, which are counted, never the container.
 */
export class LogFile implements AsyncDisposable {
  readonly path: string;
  readonly #maxBytes: number;
  readonly #filesMax: number;
  #handle: FileHandle;
  #sizeBytes: number;

  private constructor(
    path: string,
    limits: { maxBytes: number; filesMax: number },
    handle: FileHandle,
    sizeBytes: number,
  ) {
    this.path = path;
    this.#maxBytes = limits.maxBytes;
    this.#filesMax = limits.filesMax;
    this.#handle = handle;
    this.#sizeBytes = sizeBytes;
  }

  static async open(path: string, limits: { maxBytes: number; filesMax: number }): Promise<LogFile> {
    mkdirSync(dirname(path), { recursive: true });
    const handle = await open(path, 'a', 0o640);
    const { size } = await handle.stat();
    return new LogFile(path, limits, handle, size);
  }

  /** Rejects with the file system's error (ENOSPC ...). */
  async append(bytes: Buffer): Promise<void> {
    if (this.#sizeBytes > 0 && this.#sizeBytes + bytes.length > this.#maxBytes) await this.#rotate();
    await this.#handle.appendFile(bytes);
    this.#sizeBytes += bytes.length;
  }

  async #rotate(): Promise<void> {
    await this.#handle.close();
    for (let number = this.#filesMax - 1; number >= 1; number--) {
      const from = number === 1 ? this.path : `${this.path}.${number - 1}`;
      if (existsSync(from)) renameSync(from, `${this.path}.${number}`);
    }
    this.#handle = await open(this.path, 'a', 0o640);
    this.#sizeBytes = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}
