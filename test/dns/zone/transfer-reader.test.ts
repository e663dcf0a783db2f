import { describe, expect, it } from 'vitest';
import { applyChanges } from '../../../dns/zone/apply-changes.ts';
import { TransferReader, type Transfer } from '../../../dns/zone/transfer-reader.ts';
import { ZoneData } from '../../../dns/zone/zone-data.ts';
import { formatRecord } from '../../../dns/wire/zone-text.ts';
import { recordOf } from '../support/canned-upstream.ts';

const soa = (serial: number): string => `z. 60 IN SOA ns. host. ${serial} 1 2 3 4`;
const a = (name: string, last: number, ttl = 60): string => `${name}.z. ${ttl} IN A 192.0.2.${last}`;

function read(lines: readonly string[], ours: number | undefined, perMessage = 2): Transfer {
  const reader = new TransferReader('z.', ours);
  const records = lines.map(recordOf);
  for (let at = 0; at < records.length; at += perMessage) {
    const complete = reader.take(records.slice(at, at + perMessage));
    expect(complete).toBe(at + perMessage >= records.length);
  }
  return reader.result();
}

async function changed(from: readonly string[], lines: readonly string[]): Promise<string[]> {
  const transfer = read(lines, 1);
  if (transfer.kind !== 'changes') throw new Error(transfer.kind);
  const zone = ZoneData.of('z.', from.map(recordOf));
  const next = await applyChanges(zone, transfer.changes, async () => {});
  return [...next.records()].map(formatRecord).sort();
}

describe('a transfer', () => {
  it.each([1, 2, 3, 100])('of a whole zone ends with its second SOA, %i records a message', (perMessage) => {
    const lines = [soa(3), a('x', 1), a('y', 2)];
    const transfer = read([...lines, soa(3)], undefined, perMessage);
    expect(transfer.kind === 'whole' && transfer.records.map(formatRecord)).toEqual(lines);
  });

  it.each([
    ['the same', 7, 7],
    ['older', 6, 7],
  ])('with a SOA alone that is %s brings nothing', (_what, theirs, ours) =>
    expect(read([soa(theirs)], ours)).toEqual({ kind: 'current' }),
  );

  it('asked for changes may bring the whole zone', () =>
    expect(read([soa(3), a('x', 1), soa(3)], 1).kind).toBe('whole'));

  it('of a zone with nothing but its SOA is one', () =>
    expect(read([soa(3), soa(3)], undefined)).toMatchObject({ kind: 'whole', records: [{ type: 'SOA' }] }));

  it.each([1, 2, 100])('of changes goes through every version, %i records a message', async (perMessage) => {
    const steps = [
      soa(1),
      a('x', 1),
      a('x', 2),
      soa(2),
      a('x', 3),
      a('w', 9),
      soa(2),
      a('w', 9),
      soa(3),
      a('y', 4),
    ];
    const transfer = read([soa(3), ...steps, soa(3)], 1, perMessage);
    expect(transfer.kind).toBe('changes');
    const from = [soa(1), a('x', 1), a('x', 2), a('keep', 5)];
    expect(await changed(from, [soa(3), ...steps, soa(3)])).toEqual(
      [soa(3), a('x', 3), a('y', 4), a('keep', 5)].sort(),
    );
  });

  it('changes the ttl of a record', async () =>
    expect(
      await changed([soa(1), a('x', 1)], [soa(2), soa(1), a('x', 1), soa(2), a('x', 1, 5), soa(2)]),
    ).toEqual([soa(2), a('x', 1, 5)].sort()));

  it('of changes for another version is refused', async () => {
    const lines = [soa(2), soa(1), a('gone', 1), soa(2), soa(2)];
    await expect(changed([soa(1), a('x', 1)], lines)).rejects.toMatchObject({ code: 'TRANSFER_FAILED' });
  });

  it.each<[string, readonly string[]]>([
    ['records in front of the SOA', [a('x', 1)]],
    ['records behind the end', [soa(3), a('x', 1), soa(3), a('y', 1)]],
    ['no end', [soa(3), a('x', 1)]],
    ['nothing', []],
  ])('with %s fails', (_what, lines) => {
    const reader = new TransferReader('z.', undefined);
    expect(() => {
      reader.take(lines.map(recordOf));
      reader.result();
    }).toThrow(expect.objectContaining({ code: 'TRANSFER_FAILED' }));
  });
});
