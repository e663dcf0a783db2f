import { zoneCounts } from '../../../dns/cluster/table/answer-counts.ts';
import { PackedReader } from '../../../dns/cluster/table/packed-reader.ts';
import { decodeMessage } from '../../../dns/wire/decode.ts';
import { namespace, service, slice } from '../../support/kube-objects.ts';
import { clusterOf } from './cluster.ts';
import { fuzzPacket, randomFrom } from './fuzz-packets.ts';
import { openServer } from './server.ts';

const OBJECTS = [
  namespace('ns'),
  service('ns/web', { clusterIP: '10.96.0.1' }),
  service('ns/all', { clusterIP: 'None' }),
  service('ns/alias', { type: 'ExternalName', externalName: 'web.ns.svc.k' }),
  slice('ns/all-1', 'all', {
    ports: { http: 80 },
    endpoints: Array.from({ length: 120 }, (_, i) => ({ ip: `10.0.0.${i + 1}` })),
  }),
];

export interface FuzzResult {
  readonly packets: number;
  readonly answered: number;
  readonly fast: number;
}

/**
 * Throws at the first packet that is answered wrongly: twice, with another id, with bytes that do not decode, with more
 * than the client takes, or otherwise by the fast path than by the slow one.
 */
export async function fuzzServer(packets: number, seed: number): Promise<FuzzResult> {
  await using on = await openServer('. {\n kubernetes k 10.0.0.0/8\n}', { cluster: clusterOf(OBJECTS) });
  const names = on.server.plugins.find(({ name }) => name === 'kubernetes')!;
  const surroundings = { ownsZone: () => true, foreignZones: [], rotate: false };
  const { table, options } = names.compiled!(surroundings)!;
  const reader = new PackedReader(table.buffers, options);
  const random = randomFrom(seed);
  const out = new Uint8Array(1232);
  const result = { packets, answered: 0 };
  const client = { address: '192.0.2.1', port: 4000 };
  const signal = new AbortController().signal;
  for (let i = 0; i < packets; i++) {
    const bytes = fuzzPacket(random);
    const replies: Uint8Array[] = [];
    await new Promise<void>((resolve) => {
      on.server.answer(
        bytes,
        { transport: 'udp', client, server: client, signal },
        (one) => replies.push(one),
        resolve,
      );
    });
    const fault = faultIn(bytes, replies, out.subarray(0, reader.answer(bytes, bytes.length, out)));
    if (fault)
      throw new Error(`packet ${i} of seed ${seed}: ${fault}: ${Buffer.from(bytes).toString('hex')}`);
    if (replies.length > 0) result.answered++;
  }
  return { ...result, fast: fastTotal(reader) };
}

function fastTotal({ counts }: PackedReader): number {
  const { positive, nodata, nxdomain } = zoneCounts(counts.memory, 0);
  return positive + nodata + nxdomain;
}

export function faultIn(
  asked: Uint8Array,
  replies: readonly Uint8Array[],
  fast: Uint8Array,
): string | undefined {
  const [reply] = replies;
  if (replies.length > 1) return 'answered twice';
  if (fast.length > 0 && Buffer.compare(fast, reply ?? new Uint8Array(0)) !== 0) return 'fast path differs';
  if (!reply) return undefined;
  if (asked.length < 12 || (asked[2]! & 0x80) !== 0) return 'answered what is no query';
  if (reply[0] !== asked[0] || reply[1] !== asked[1]) return 'another id';
  if ((reply[2]! & 0x80) === 0) return 'no QR bit';
  const decoded = decodeMessage(reply);
  if (!decoded.ok) return `cannot be decoded: ${decoded.reason}`;
  const request = decodeMessage(asked);
  const taken = Math.max(512, (request.ok && request.message.edns?.udpSize) || 0);
  return reply.length > Math.min(taken, 1232)
    ? `${reply.length} bytes for a client that takes ${taken}`
    : undefined;
}
