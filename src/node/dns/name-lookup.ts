import { decodeMessage } from '../../../dns/wire/decode.ts';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import { queryMessage } from '../../../dns/wire/message.ts';
import type { DnsServer } from '../../../dns/server/dns-server.ts';
import { Fault } from '../../base/fault.ts';

/** How long one look-up may take before the caller gives up; the answer is asked for again later. */
const LOOKUP_DEADLINE_MS = 5_000;
const SELF = { address: '127.0.0.1', port: 0 } as const;

export interface FoundName {
  readonly addresses: readonly string[];
  readonly ttlSeconds: number;
}

/**
 * Looks a name up in our own DNS, in-process: cluster names and, through the Corefile's forwarders, all others.
 * Rejects with Fault NAME_NOT_FOUND when the name has no address.
 */
export async function lookUp(dns: DnsServer, name: string): Promise<FoundName> {
  const found = await Promise.all([ask(dns, name, 'A'), ask(dns, name, 'AAAA')]);
  const addresses = found.flatMap((each) => each.addresses);
  if (addresses.length === 0) throw new Fault('NAME_NOT_FOUND', `${name} has no address`);
  return {
    addresses,
    ttlSeconds: Math.min(...found.filter((each) => each.addresses.length > 0).map((each) => each.ttlSeconds)),
  };
}

async function ask(dns: DnsServer, name: string, type: 'A' | 'AAAA'): Promise<FoundName> {
  const request = encodeMessage(
    queryMessage({ name: name.endsWith('.') ? name : `${name}.`, type, class: 'IN' }),
  );
  const signal = AbortSignal.timeout(LOOKUP_DEADLINE_MS);
  const reply = await new Promise<Uint8Array>((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    dns.answer(request, { transport: 'tcp', client: SELF, server: SELF, signal }, resolve);
  });
  const decoded = decodeMessage(reply);
  if (!decoded.ok) throw new Fault('NAME_NOT_FOUND', `${name}: ${decoded.reason}`);
  const records = decoded.message.answers.filter((record) => record.type === type);
  const addresses = records
    .map((record) => addressOf(record.data))
    .filter((address) => address !== undefined);
  return { addresses, ttlSeconds: Math.min(300, ...records.map((record) => record.ttl)) };
}

function addressOf(data: unknown): string | undefined {
  const address = (data as { address?: unknown } | undefined)?.address;
  return typeof address === 'string' ? address : undefined;
}
