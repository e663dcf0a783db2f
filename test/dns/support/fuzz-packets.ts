import { encodeMessage } from '../../../dns/wire/encode.ts';
import { queryMessage } from '../../../dns/wire/message.ts';
import type { RecordType } from '../../../dns/wire/numbers.ts';

/** A small generator whose whole state is its seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const NAMES = [
  'web.ns.svc.k.',
  'all.ns.svc.k.',
  '10-0-0-1.all.ns.svc.k.',
  '_http._tcp.web.ns.svc.k.',
  'none.ns.svc.k.',
  'ns.svc.k.',
  'k.',
  '.',
  'alias.ns.svc.k.',
  '1.0.96.10.in-addr.arpa.',
  'www.example.org.',
  `${'a'.repeat(63)}.${'b'.repeat(63)}.svc.k.`,
];
const TYPES: readonly RecordType[] = [
  'A',
  'AAAA',
  'SRV',
  'TXT',
  'ANY',
  'AXFR',
  'PTR',
  'SOA',
  'NS',
  'DS',
  'HTTPS',
];

/** Packets near to what a client sends: whole ones, and those with a few bytes wrong in the places that matter. */
export function fuzzPacket(random: () => number, names: readonly string[] = NAMES): Uint8Array {
  const pick = (below: number): number => Math.floor(random() * below);
  if (pick(20) === 0) return Uint8Array.from({ length: pick(80) }, () => pick(256));
  let bytes = wellFormed(pick, names);
  for (let changes = pick(2) * pick(4); changes > 0; changes--) bytes = damaged(bytes, pick);
  return bytes;
}

function wellFormed(pick: (below: number) => number, names: readonly string[]): Uint8Array {
  const name = names[pick(names.length)]!;
  const type = TYPES[pick(TYPES.length)]!;
  const edns = {
    udpSize: [0, 511, 512, 513, 1232, 4096, 65_535][pick(7)]!,
    version: pick(30) === 0 ? 1 : 0,
    dnssecOk: pick(2) === 0,
    options:
      pick(2) === 0 ? [] : [{ code: pick(20), data: Uint8Array.from({ length: pick(45) }, () => pick(256)) }],
  };
  const cased = pick(2) === 0 ? name : name.toUpperCase();
  return encodeMessage(
    queryMessage(
      { name: cased, type, class: pick(20) === 0 ? 'CH' : 'IN' },
      { id: pick(65_536), ...(pick(3) > 0 && { edns }) },
    ),
  );
}

function damaged(bytes: Uint8Array, pick: (below: number) => number): Uint8Array {
  const copy = bytes.slice();
  const at = pick(copy.length);
  switch (pick(7)) {
    case 0: // a bit
      copy[at]! ^= 1 << pick(8);
      return copy;
    case 1: // header: flags and counts
      copy[2 + pick(10)] = pick(256);
      return copy;
    case 2: // a pointer, to itself, forward or back
      copy[12 + pick(Math.max(1, copy.length - 12))] = 0xc0 | pick(2);
      return copy;
    case 3: // a label that is too long, or of an unknown kind
      copy[at] = [64, 128, 191, 255][pick(4)]!;
      return copy;
    case 4: // cut off
      return copy.subarray(0, at);
    case 5: // something behind the end
      return Uint8Array.of(...copy, ...Array.from({ length: pick(20) }, () => pick(256)));
    default: // a part twice
      return Uint8Array.of(...copy.subarray(0, at), ...copy.subarray(pick(copy.length)));
  }
}
