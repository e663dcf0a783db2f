import { Fault, hasCode } from '../../base/fault.ts';
import { STORE_COMPACTED, STORE_FUTURE } from '../store.ts';
import type { EtcdConnection } from './connection.ts';
import { COMPACT, RANGE, toNumber, TXN_WRITE } from './messages.ts';

/**
 * Where API servers that share an etcd agree on compaction, kube-apiserver too: compaction is for all of etcd,
 * so the key is outside any prefix.
 */
const COMPACT_KEY = Buffer.from('compact_rev_key');

/** The revision the sharers agreed to compact to; 0 = none yet. */
export async function readCompactedRevision(connection: EtcdConnection): Promise<number> {
  return (await readAgreement(connection)).compacted;
}

/**
 * Whoever moves the key compacts; the others see that it is done. @throws Fault STORE_FUTURE
 */
export async function compactEtcd(connection: EtcdConnection, revision: number): Promise<void> {
  for (;;) {
    const { compacted, modRevision, newest } = await readAgreement(connection);
    if (revision > newest) {
      throw new Fault(STORE_FUTURE, `revision ${revision} is newer than the store's ${newest}`);
    }
    if (compacted >= revision) return;
    const value = Buffer.from(String(revision));
    const { succeeded } = await connection.call(TXN_WRITE, {
      compare: [{ result: 0, target: 2, key: COMPACT_KEY, mod_revision: modRevision }],
      success: [{ request_put: { key: COMPACT_KEY, value } }],
      failure: [],
    });
    if (succeeded) break;
  }
  try {
    await connection.call(COMPACT, { revision });
  } catch (error) {
    if (!hasCode(error, STORE_COMPACTED)) throw error; // compacted further already
  }
}

async function readAgreement(
  connection: EtcdConnection,
): Promise<{ compacted: number; modRevision: number; newest: number }> {
  const { header, kvs } = await connection.call(RANGE, { key: COMPACT_KEY });
  const kv = kvs[0];
  const compacted = kv ? Number(Buffer.from(kv.value).toString()) || 0 : 0;
  return { compacted, modRevision: kv ? toNumber(kv.mod_revision) : 0, newest: toNumber(header.revision) };
}
