import { hasCode } from '../../src/base/fault.ts';
import type { StoreEntry, WriteResult } from '../../src/store/store.ts';
import type { Operation, RegisterInput, RegisterOutput } from './linearizability.ts';

/** The part of a store that the clients use, wherever it runs. */
export interface RegisterStore {
  get(key: string): Promise<{ readonly entry: StoreEntry | undefined }>;
  put(key: string, value: Uint8Array, expected?: number): Promise<WriteResult>;
  delete(key: string, expected?: number): Promise<WriteResult>;
}

export type RegisterHistory = Map<string, Operation<RegisterInput, RegisterOutput>[]>;

export interface ClientsOptions {
  readonly clients: number;
  readonly keys: readonly string[];
  readonly stop: AbortSignal;
  /** No key gets more operations than this, so that its history can be checked. */
  readonly operationsPerKeyMax: number;
  /** How long each client waits between its operations; absent = not at all. */
  readonly thinkMs?: number;
}

/** Concurrent clients that read, write, compare-and-set and delete at random until stopped. */
export async function runClients(store: RegisterStore, options: ClientsOptions): Promise<RegisterHistory> {
  const history: RegisterHistory = new Map(options.keys.map((key) => [key, []]));
  let moment = 0;
  let values = 0;

  async function client(number: number): Promise<void> {
    const known = new Map<string, number>();
    while (!options.stop.aborted) {
      const open = options.keys.filter((key) => history.get(key)!.length < options.operationsPerKeyMax);
      if (open.length === 0) return;
      if (options.thinkMs) await new Promise((resolve) => setTimeout(resolve, options.thinkMs));
      const key = open[Math.floor(Math.random() * open.length)]!;
      const input = randomInput(known.get(key) ?? 0, `v${values++}`);
      const calledAt = moment++;
      const output = await perform(store, key, input);
      if (output === 'refused') continue;
      const returnedAt = output ? moment++ : Number.POSITIVE_INFINITY;
      history.get(key)!.push({ client: number, input, output, calledAt, returnedAt });
      if (output) known.set(key, output.revision);
    }
  }

  await Promise.all(Array.from({ length: options.clients }, (_, number) => client(number)));
  return history;
}

function randomInput(expected: number, value: string): RegisterInput {
  const dice = Math.random();
  if (dice < 0.35) return { kind: 'read' };
  if (dice < 0.8) return { kind: 'write', value, expected };
  if (dice < 0.9) return { kind: 'write', value, expected: undefined };
  return { kind: 'delete', expected: dice < 0.95 ? expected : undefined };
}

/** undefined = the outcome is unknown; refused = it certainly did nothing and told nothing. */
async function perform(
  store: RegisterStore,
  key: string,
  input: RegisterInput,
): Promise<RegisterOutput | undefined | 'refused'> {
  try {
    if (input.kind === 'read') return seen(true, (await store.get(key)).entry);
    const result =
      input.kind === 'write'
        ? await store.put(key, Buffer.from(input.value), input.expected)
        : await store.delete(key, input.expected);
    if (!result.ok) return seen(false, result.current);
    return { ok: true, value: undefined, revision: input.kind === 'write' ? result.revision : 0 };
  } catch (error) {
    if (hasCode(error, 'STORE_OUTCOME_UNKNOWN')) return input.kind === 'read' ? 'refused' : undefined;
    if (hasCode(error, 'STORE_UNAVAILABLE')) return 'refused';
    throw error;
  }
}

function seen(ok: boolean, entry: StoreEntry | undefined): RegisterOutput {
  const value = entry && Buffer.from(entry.value).toString();
  return { ok, value, revision: entry?.modRevision ?? 0 };
}
