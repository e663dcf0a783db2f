import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { once } from 'node:events';
import type { Clock } from '../../../base/clock.ts';
import { Fault, messageOf } from '../../../base/fault.ts';
import type { Logger } from '../../../base/log.ts';
import { Counter, type Registry } from '../../../base/metrics.ts';
import { AUDIT_BUFFER_MAX_BYTES, AUDIT_FILE_MAX_BYTES, AUDIT_FILES_KEPT } from '../limits.ts';

export const AUDIT_FILE = 'AUDIT_FILE';

export interface AuditLogDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Registry;
}

/** JSON lines in a file only its owner can read. A full file is renamed; the oldest go. */
export class AuditLog implements AsyncDisposable {
  readonly #deps: AuditLogDeps;
  readonly #path: string;
  readonly #lost: Counter;
  #stream: WriteStream;
  #sizeBytes: number;
  #waiting: string[] | undefined;
  #rotating: Promise<void> = Promise.resolve();

  static async open(deps: AuditLogDeps, path: string): Promise<AuditLog> {
    try {
      await mkdir(dirname(path), { recursive: true });
      const stream = await openFile(path);
      const { size } = await stat(path);
      return new AuditLog(deps, path, stream, size);
    } catch (cause) {
      throw new Fault(AUDIT_FILE, `cannot write the audit log ${path}: ${messageOf(cause)}`, { cause });
    }
  }

  private constructor(deps: AuditLogDeps, path: string, stream: WriteStream, sizeBytes: number) {
    this.#deps = deps;
    this.#path = path;
    this.#stream = this.#watched(stream);
    this.#sizeBytes = sizeBytes;
    this.#lost = new Counter({
      name: 'apiserver_audit_error_total',
      help: 'Audit events that could not be written',
      registers: [deps.metrics],
    });
  }

  write(event: object): void {
    const line = `${JSON.stringify(event)}\n`;
    if (this.#waiting) {
      this.#waiting.push(line);
      return;
    }
    if (this.#stream.destroyed || this.#stream.writableLength > AUDIT_BUFFER_MAX_BYTES) {
      this.#lost.inc();
      return;
    }
    this.#stream.write(line);
    this.#sizeBytes += line.length;
    if (this.#sizeBytes > AUDIT_FILE_MAX_BYTES) this.#rotating = this.#rotate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#rotating;
    if (this.#stream.destroyed) return;
    this.#stream.end();
    await once(this.#stream, 'close');
  }

  #watched(stream: WriteStream): WriteStream {
    stream.on('error', (error) => {
      this.#lost.inc();
      this.#deps.log.error('audit log not writable', { path: this.#path, reason: messageOf(error) });
    });
    return stream;
  }

  async #rotate(): Promise<void> {
    this.#waiting = [];
    try {
      this.#stream.end();
      await once(this.#stream, 'close');
      const stamp = new Date(this.#deps.clock.nowMs()).toISOString().replaceAll(/[:.]/g, '-');
      await rename(this.#path, `${this.#path}.${stamp}`);
      await this.#dropOldest();
      this.#stream = this.#watched(await openFile(this.#path));
      this.#sizeBytes = 0;
    } catch (error) {
      this.#deps.log.error('audit log not rotated', { path: this.#path, reason: messageOf(error) });
    }
    const waiting = this.#waiting;
    this.#waiting = undefined;
    for (const line of waiting) this.#stream.write(line);
  }

  async #dropOldest(): Promise<void> {
    const folder = dirname(this.#path);
    const head = `${basename(this.#path)}.`;
    const old = (await readdir(folder)).filter((name) => name.startsWith(head)).sort();
    for (const name of old.slice(0, -AUDIT_FILES_KEPT)) await rm(join(folder, name));
  }
}

async function openFile(path: string): Promise<WriteStream> {
  const stream = createWriteStream(path, { flags: 'a', mode: 0o600 });
  await once(stream, 'open');
  return stream;
}
