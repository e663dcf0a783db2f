import { describe, expect, it } from 'vitest';
import { FakeClock } from '../../support/fake-clock.ts';
import { ask, openServer } from '../support/server.ts';

describe('errors', () => {
  it('logs each failure with its question and reason', async () => {
    await using on = await openServer('. {\nerrors\n}');
    await ask(on, 'x.example. MX');
    const failed = on.logs.filter(({ event }) => event === 'question failed');
    expect(failed).toHaveLength(1);
    expect(failed[0]?.fields).toMatchObject({
      name: 'x.example.',
      type: 'MX',
      client: '192.0.2.250',
      reason: 'no plugin answers this name',
    });
  });

  it('gathers what fits an expression into one line a period', async () => {
    const clock = new FakeClock();
    await using on = await openServer('. {\nerrors {\nconsolidate 5s ^no.plugin warning\n}\n}', { clock });
    for (let i = 0; i < 3; i++) await ask(on, 'x.example. A');
    expect(on.logs.filter(({ level }) => level === 'warn' || level === 'error')).toEqual([]);
    await clock.advance(5001);
    const told = on.logs.filter(({ event }) => event === 'questions failed');
    expect(told.map(({ level, fields }) => [level, fields['count'], fields['matching']])).toEqual([
      ['warn', 3, '^no.plugin'],
    ]);
  });

  it.each([
    [1, ['warn question failed']],
    [3, ['warn question failed', 'warn questions failed']],
  ])('tells the first of %i at once with show_first', async (count, lines) => {
    const clock = new FakeClock();
    await using on = await openServer('. {\nerrors {\nconsolidate 5s ^no.plugin warning show_first\n}\n}', {
      clock,
    });
    for (let i = 0; i < count; i++) await ask(on, 'x.example. A');
    const told = (): string[] =>
      on.logs.filter(({ level }) => level === 'warn').map(({ level, event }) => `${level} ${event}`);
    expect(told()).toEqual(lines.slice(0, 1));
    await clock.advance(5001);
    expect(told()).toEqual(lines);
  });

  it('cannot be stalled by an expression', async () => {
    await using on = await openServer('. {\nerrors {\nconsolidate 5s ^(([a-z])+.)+[A-Z]([a-z])+$\n}\n}');
    expect((await ask(on, 'x.example. A')).rcode).toBe('SERVFAIL');
  });

  it.each([
    ['consolidate 5s (', 'Corefile:3:16: "(" is not a regular expression'],
    ['consolidate 5x a', 'Corefile:3:13: "5x" is not a duration'],
    ['consolidate 5s a show_first warning', 'Corefile:3:29: nothing follows show_first'],
    ['consolidate 5s a loud', 'Corefile:3:18: "loud" is not one of error, warning, info, debug'],
  ])('refuses %s', async (line, fault) => {
    await expect(openServer(`. {\nerrors {\n${line}\n}\n}`)).rejects.toThrow(fault);
  });
});
