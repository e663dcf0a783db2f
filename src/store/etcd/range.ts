import { compareKeys } from '../keys.ts';
import { ETCD_PAGE_ENTRIES } from '../limits.ts';
import type { RangeOptions, RangeResult, StoreEntry } from '../store.ts';
import type { EtcdConnection } from './connection.ts';
import type { KeySpace } from './key-space.ts';
import { prefixEnd, RANGE, toNumber, TXN_READ } from './messages.ts';
import type { RangeResponse } from './messages.ts';

interface RangeDeps {
  readonly connection: EtcdConnection;
  readonly keys: KeySpace;
}

/** Pages through etcd at one revision, so that a large list is no single huge message. */
export async function rangeEtcd(
  deps: RangeDeps,
  prefix: string,
  options: RangeOptions,
): Promise<RangeResult> {
  const limit = options.limit || Number.POSITIVE_INFINITY;
  const entries: StoreEntry[] = [];
  let revision = options.revision || 0;
  let after = options.after;
  let count: number | undefined;
  for (;;) {
    const asked = Math.min(ETCD_PAGE_ENTRIES, limit - entries.length);
    const page = await onePage(deps, prefix, after, { limit: asked, revision }, count === undefined);
    count ??= page.count;
    revision ||= toNumber(page.range.header.revision);
    for (const kv of page.range.kvs) entries.push(deps.keys.toEntry(kv));
    if (!page.range.more || entries.length >= limit)
      return { entries, revision, more: page.range.more, count };
    after = entries.at(-1)!.key;
  }
}

/** etcd counts from the first asked key on; the count of the whole prefix is a second question at once. */
async function onePage(
  deps: RangeDeps,
  prefix: string,
  after: string | undefined,
  page: { readonly limit: number; readonly revision: number },
  wantCount: boolean,
): Promise<{ range: RangeResponse; count: number }> {
  const first = deps.keys.toBytes(prefix);
  const range_end = prefixEnd(first);
  const inside = after !== undefined && compareKeys(after, prefix) >= 0;
  const key = inside ? deps.keys.toBytes(`${after}\0`) : first;
  const past = inside && !after.startsWith(prefix);
  const ask = { key, range_end, ...page };
  if (!inside || !wantCount) {
    const range = await deps.connection.call(RANGE, ask);
    return { range, count: toNumber(range.count) };
  }
  const whole = { key: first, range_end, revision: page.revision, count_only: true };
  const success = past ? [{ request_range: whole }] : [{ request_range: whole }, { request_range: ask }];
  const { header, responses } = await deps.connection.call(TXN_READ, { success });
  const count = toNumber(responses[0]!.response_range!.count);
  const answered = responses[1]?.response_range;
  return { range: { header, kvs: answered?.kvs ?? [], more: answered?.more ?? false, count }, count };
}
