import { familyOf } from '../../src/net/ip.ts';
import { record, type TypedRecord } from '../wire/message.ts';
import type { Host } from './node.ts';

/** An A or AAAA record, by what the address is. */
export function addressRecord(name: string, ttl: number, address: string): TypedRecord<'A' | 'AAAA'> {
  return record(name, ttl, familyOf(address) === 'IPv4' ? 'A' : 'AAAA', { address });
}

/** The distinct addresses of one family under one name. */
export function addressRecords(
  hosts: readonly Host[],
  type: 'A' | 'AAAA',
  name: string,
  ttl: number,
): TypedRecord<'A' | 'AAAA'>[] {
  const family = type === 'A' ? 'IPv4' : 'IPv6';
  const seen = new Set<string>();
  const records: TypedRecord<'A' | 'AAAA'>[] = [];
  for (const host of hosts) {
    if (host.family !== family || seen.has(host.address)) continue;
    seen.add(host.address);
    records.push(record(name, ttl, type, { address: host.address }));
  }
  return records;
}

export interface ServiceRecords {
  readonly answers: readonly TypedRecord<'SRV'>[];
  readonly glue: readonly TypedRecord<'A' | 'AAAA'>[];
}

/**
 * SRV records and the addresses of their targets. Priority 0; weight 100 / number of addresses before
 * de-duplication, at least 1 (CoreDNS; the specification leaves both open).
 */
export function srvRecords(hosts: readonly Host[], name: string, ttl: number, zone: string): ServiceRecords {
  const total = hosts.reduce((sum, host) => sum + host.listings, 0);
  const weight = Math.max(1, Math.floor(100 / total));
  const seen = new Set<string>();
  const answers: TypedRecord<'SRV'>[] = [];
  const glue: TypedRecord<'A' | 'AAAA'>[] = [];
  for (const host of hosts) {
    if (host.port < 0) continue;
    const target = `${host.target}.${zone}`;
    if (!seen.has(`${host.port} ${target}`)) {
      seen.add(`${host.port} ${target}`);
      answers.push(record(name, ttl, 'SRV', { priority: 0, weight, port: host.port, target }));
    }
    if (seen.has(`${host.address} ${target}`)) continue;
    seen.add(`${host.address} ${target}`);
    glue.push(addressRecord(target, ttl, host.address));
  }
  return { answers, glue };
}
