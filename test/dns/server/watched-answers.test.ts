import { describe, expect, it } from 'vitest';
import type { AnswerSummary, WatchPolicy } from '../../../dns/answer-summary.ts';
import { AnswerRingWriter } from '../../../dns/cluster/table/answer-ring.ts';
import { type AskingClient, RawQuestion } from '../../../dns/cluster/table/raw-question.ts';
import { WATCH_DRAIN, WATCH_GATHER_MS } from '../../../dns/limits.ts';
import { WatchedAnswers } from '../../../dns/server/watched-answers.ts';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import { replyTo } from '../../../dns/wire/message.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { questionOf } from '../support/server.ts';

const ALL: WatchPolicy = { names: [Uint8Array.of(0)], success: true, denial: true, oneIn: 1 };

function ringOf(slots: number, policy = ALL) {
  const clock = new FakeClock();
  const seen: AnswerSummary[] = [];
  const missed: number[] = [];
  const watcher = {
    policy,
    observe: (answer: AnswerSummary) => void seen.push(answer),
    missed: (count: number) => void missed.push(count),
  };
  const watched = new WatchedAnswers(clock, [watcher], 'udp', slots);
  const writer = new AnswerRingWriter(watched.memory);
  const asked = new RawQuestion({ nsid: undefined });
  const client: AskingClient = {
    six: true,
    port: 65_535,
    writeAddress: (into) => {
      into.fill(0);
      into[0] = 0xfd;
      into[15] = 1;
      return 16;
    },
  };
  const add = (id: number, name = 'a.'): void => {
    const request = questionOf(`${name} A`, { id });
    const bytes = encodeMessage(request);
    const reply = encodeMessage(replyTo(request));
    expect(asked.read(bytes, bytes.length, client)).toBe(true);
    writer.add(asked, bytes, bytes.length, reply, reply.length, client);
  };
  return { clock, watched, writer, add, seen, missed };
}

describe('answers on their way to those who watch', () => {
  it('come in order, and what finds no room is counted', () => {
    const { watched, writer, add, seen, missed } = ringOf(4);
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 7; i++) add(10 * round + i);
      expect(writer.settle(0.000_123)).toBe(round === 0); // nobody has gone to sleep since
      watched.drain();
    }
    expect(seen.map(({ id }) => id)).toEqual([
      0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23, 30, 31, 32, 33, 40, 41, 42, 43,
    ]);
    expect(missed).toEqual([3, 3, 3, 3, 3]);
    expect(seen[0]).toMatchObject({ client: { address: 'fd00::1', port: 65_535 }, durationMs: 0.123 });
  });

  it('are not seen before their time is known', () => {
    const { watched, writer, add, seen } = ringOf(4);
    add(1);
    watched.drain();
    expect(seen).toEqual([]);
    writer.settle(0);
    watched.drain();
    expect(seen.length).toBe(1);
  });

  it('hold a name of 255 octets', () => {
    const { watched, writer, add, seen } = ringOf(2);
    const name = `${'x'.repeat(63)}.`.repeat(3) + `${'y'.repeat(61)}.`;
    for (const id of [1, 2]) add(id, name);
    writer.settle(0);
    watched.drain();
    expect(seen.map(({ id, question }) => `${id} ${question.name}`)).toEqual([`1 ${name}`, `2 ${name}`]);
  });

  it('are gathered, told of a part at a time, and the thread wakes us once until none is left', async () => {
    const { clock, watched, writer, add, seen } = ringOf(1024);
    const come = (count: number): boolean => {
      for (let i = 0; i < count; i++) add(i);
      return writer.settle(0);
    };
    expect(come(1)).toBe(true);
    watched.heard();
    expect(come(WATCH_DRAIN)).toBe(false);
    await clock.advance(WATCH_GATHER_MS);
    expect(seen.length).toBeGreaterThanOrEqual(WATCH_DRAIN);
    expect(come(1)).toBe(false);
    await clock.advance(3 * WATCH_GATHER_MS);
    expect(seen.length).toBe(WATCH_DRAIN + 2);
    expect(come(1)).toBe(true);
  });

  it('are those of the names, whole labels in any case', () => {
    const { watched, writer, add, seen } = ringOf(16, {
      ...ALL,
      names: [Buffer.from('\x01b\x01c\x00', 'latin1')],
    });
    for (const [i, name] of ['b.c.', 'a.B.c.', 'ab.c.', 'c.', 'b.c.d.', '\\001b.c.', 'x\\001b.c.'].entries())
      add(i, name);
    writer.settle(0);
    watched.drain();
    expect(seen.map(({ id }) => id)).toEqual([0, 1]);
  });
});
