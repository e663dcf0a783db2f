import type { StoreEntry } from '../store.ts';
import { toNumber, toText } from './messages.ts';
import type { KeyValue } from './messages.ts';

/** Our keys inside etcd's: each begins with the prefix, which the store's users never see. */
export class KeySpace {
  readonly #prefix: Buffer;

  constructor(prefix: string) {
    this.#prefix = Buffer.from(prefix);
  }

  toBytes(key: string): Buffer {
    return Buffer.concat([this.#prefix, Buffer.from(key)]);
  }

  toEntry(kv: KeyValue): StoreEntry {
    const key = Buffer.from(kv.key.buffer, kv.key.byteOffset, kv.key.byteLength).toString(
      'utf8',
      this.#prefix.length,
    );
    const createRevision = toNumber(kv.create_revision);
    const modRevision = toNumber(kv.mod_revision);
    const leaseId = toText(kv.lease);
    // A copy of its own, so that one entry does not keep the whole response.
    const entry = { key, value: new Uint8Array(kv.value), createRevision, modRevision };
    return leaseId === '0' ? entry : { ...entry, leaseId };
  }
}
