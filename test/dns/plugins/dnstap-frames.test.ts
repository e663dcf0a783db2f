import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  CONTROL,
  controlFrame,
  ControlReader,
  type ReadControl,
} from '../../../dns/plugins/dnstap/frame-stream.ts';

/** Everything a reader makes of these octets, pushed in pieces. */
function readAll(pieces: readonly Uint8Array[]): ReadControl[] {
  const reader = new ControlReader();
  const found: ReadControl[] = [];
  for (const piece of pieces) {
    reader.push(piece);
    for (let read = reader.next(); read.kind !== 'more'; read = reader.next()) {
      found.push(read);
      if (read.kind === 'fault') return found;
    }
  }
  return found;
}

describe('frame streams', () => {
  it('reads control frames however they are cut', () => {
    const types = fc.constantFrom(...Object.values(CONTROL));
    fc.assert(
      fc.property(fc.array(types, { maxLength: 6 }), fc.integer({ min: 1, max: 9 }), (sent, size) => {
        const octets = Buffer.concat(sent.map(controlFrame));
        const pieces = Array.from({ length: Math.ceil(octets.length / size) }, (_, i) =>
          octets.subarray(i * size, (i + 1) * size),
        );
        const wanted = sent.map((type) => ({ kind: 'control', type, takesDnstap: true }));
        expect(readAll(pieces)).toEqual(wanted);
      }),
    );
  });

  it('reads or refuses any octets', () => {
    const start = fc.constantFrom(
      Uint8Array.of(0, 0, 0, 0),
      Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 12),
      new Uint8Array(0),
    );
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 64 }), (head, tail) => {
        for (const read of readAll([head, tail])) expect(['control', 'fault']).toContain(read.kind);
      }),
    );
  });

  it.each([
    ['data from the receiver', [0, 0, 0, 1, 0, 0, 0, 0, 9], 'the receiver sends data'],
    ['a frame too long', [0, 0, 0, 0, 0, 1, 0, 0], 'a control frame is malformed'],
    [
      'a field past the end',
      [0, 0, 0, 0, 0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9],
      'a control field is cut',
    ],
  ])('refuses %s', (_what, octets, reason) =>
    expect(readAll([Uint8Array.from(octets)])).toEqual([{ kind: 'fault', reason }]),
  );
});
