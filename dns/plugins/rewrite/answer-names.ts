import type { Message, ResourceRecord } from '../../wire/message.ts';
import { foldName, parseName } from '../../wire/name.ts';
import { fieldsOf } from '../../wire/rdata-schema.ts';

/** New text for a name, or undefined to leave it. Gets it folded. */
export type NameChange = (name: string) => string | undefined;

/** Types whose names belong to signatures and chains: changing them would only break those. */
const UNTOUCHED: readonly string[] = ['RRSIG', 'NSEC', 'NSEC3', 'TSIG'];

/** Changes owner names in every section. */
export function changeOwners(message: Message, change: NameChange): Message {
  return mapRecords(message, (record) => {
    const name = changed(record.name, change);
    return name === record.name ? record : { ...record, name };
  });
}

/** Changes names inside of record data (CNAME, MX, SRV, NS, PTR ...) in every section. */
export function changeValues(message: Message, change: NameChange): Message {
  return mapRecords(message, (record) => {
    if (UNTOUCHED.includes(record.type)) return record;
    const fields = (fieldsOf(record.type) ?? []).filter(
      ([, kind]) => kind === 'name' || kind === 'compressible',
    );
    if (fields.length === 0 || 'octets' in record.data) return record;
    const data: Record<string, unknown> = { ...record.data };
    for (const [field] of fields) data[field] = changed(data[field] as string, change);
    return { ...record, data } as unknown as ResourceRecord;
  });
}

export function mapRecords(message: Message, map: (record: ResourceRecord) => ResourceRecord): Message {
  const { answers, authorities, additionals } = message;
  return {
    ...message,
    answers: answers.map(map),
    authorities: authorities.map(map),
    additionals: additionals.map(map),
  };
}

/** A change that would not be a name is not made. */
function changed(name: string, change: NameChange): string {
  const next = change(foldName(name));
  return next === undefined ? name : (parseName(next) ?? name);
}
