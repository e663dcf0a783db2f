import { Fault } from '../../src/base/fault.ts';
import type { ResourceRecord } from '../wire/message.ts';
import { recordKey, type ZoneChanges } from './transfer-reader.ts';
import { ZoneData } from './zone-data.ts';

/**
 * The next version of a zone. Rejects with Fault TRANSFER_FAILED when the changes delete what is not there, that is when
 * they were not made for this version.
 */
export async function applyChanges(
  zone: ZoneData,
  { deleted, added, soa }: ZoneChanges,
  turn: () => Promise<void>,
): Promise<ZoneData> {
  let gone = 0;
  function* records(): Iterable<ResourceRecord> {
    yield soa;
    for (const record of zone.records()) {
      if (record.type === 'SOA') continue;
      const key = recordKey(record);
      if (deleted.has(key)) gone++;
      else if (!added.has(key)) yield record;
    }
    yield* added.values();
  }
  const next = await ZoneData.inTurns(zone.origin, records(), turn);
  if (gone < deleted.size)
    throw new Fault('TRANSFER_FAILED', 'the changes do not fit the version that we have');
  return next;
}
