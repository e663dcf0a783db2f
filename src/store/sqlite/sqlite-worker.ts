/** The thread that owns the SQLite file, so that no fsync holds up the event loop. */
import { parentPort } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import { Fault, messageOf } from '../../base/fault.ts';
import { STORE_OUTCOME_UNKNOWN } from '../store.ts';
import { decodeRawWrites, encodeRawWrites } from './frames.ts';
import type { RawWrite } from './frames.ts';
import type { LoadReply, OpenReply, WorkerReply, WorkerRequest } from './messages.ts';
import { StoreFile } from './store-file.ts';

const LOAD_CHUNK_BYTES = 1024 * 1024;

class Session {
  #file: StoreFile | undefined;
  #backup: Promise<void> | undefined;
  #loading: Generator<RawWrite> | undefined;

  handle(request: WorkerRequest): unknown {
    if (request.kind === 'open') return this.#open(request);
    const file = this.#file;
    if (!file) throw new Error(`${request.kind} before open`);
    switch (request.kind) {
      case 'load':
        return this.#load(file);
      case 'commit':
        return file.commit(decodeRawWrites(request.writes), request.granted, request.ended);
      case 'compacted':
        return file.noteCompacted(request.revision);
      case 'drop':
        return file.drop(request.revisions);
      case 'backup':
        return (this.#backup = file.backup(request.target));
      case 'close':
        return this.#close(file);
    }
  }

  async #close(file: StoreFile): Promise<void> {
    await this.#backup?.catch(() => {}); // told to who asked for it
    this.#file = undefined;
    file[Symbol.dispose]();
  }

  /** Work that can wait until the reply is on its way. */
  afterReply(): void {
    this.#file?.checkpointIfDue();
  }

  #open(options: { path: string; sizeMaxBytes: number }): OpenReply {
    const file = new StoreFile(options);
    try {
      file.checkIntegrity();
      this.#file = file;
      return { compacted: file.compacted, leases: file.leases() };
    } catch (error) {
      file[Symbol.dispose]();
      throw error;
    }
  }

  #load(file: StoreFile): LoadReply {
    this.#loading ??= file.writes();
    const chunk: RawWrite[] = [];
    for (let sizeBytes = 0; sizeBytes < LOAD_CHUNK_BYTES;) {
      const next = this.#loading.next();
      if (next.done) break;
      chunk.push(next.value);
      sizeBytes += next.value.key.byteLength + (next.value.value?.byteLength ?? 0) + 64;
    }
    return { writes: chunk.length > 0 ? encodeRawWrites(chunk) : undefined };
  }
}

function failureOf(id: number, error: unknown): WorkerReply {
  const code = error instanceof Fault ? error.code : STORE_OUTCOME_UNKNOWN;
  return { id, ok: false, code, message: messageOf(error) };
}

async function answer(
  port: MessagePort,
  session: Session,
  message: WorkerRequest & { readonly id: number },
): Promise<void> {
  const { id } = message;
  try {
    const outcome = session.handle(message);
    const result = outcome instanceof Promise ? ((await outcome) as unknown) : outcome;
    const writes = (result as Partial<LoadReply> | undefined)?.writes;
    port.postMessage({ id, ok: true, result } satisfies WorkerReply, writes ? [writes] : []);
    if (message.kind === 'commit' || message.kind === 'drop') session.afterReply();
  } catch (error) {
    port.postMessage(failureOf(id, error));
  }
}

const port = parentPort;
if (port) {
  const session = new Session();
  port.on(
    'message',
    (message: WorkerRequest & { readonly id: number }) => void answer(port, session, message),
  );
}
