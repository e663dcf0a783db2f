import { describe, expect, it } from 'vitest';
import { createLogger, formatJournal, formatJson, formatText, type LogRecord } from '../../src/base/log.ts';

describe('logger', () => {
  it('drops records below the level and merges fields', () => {
    const records: LogRecord[] = [];
    const log = createLogger((record) => records.push(record), 'info').with({ part: 'dns' });
    log.debug('hidden');
    log.info('listening', { port: 53 });
    expect(records).toEqual([{ level: 'info', event: 'listening', fields: { part: 'dns', port: 53 } }]);
  });

  it.each([
    ['plain words stay bare', { name: 'web' }, 'name=web'],
    ['blanks are quoted', { name: 'a b' }, 'name="a b"'],
    ['line breaks cannot forge a line', { name: 'a\nb' }, 'name="a\\nb"'],
    ['errors show their message', { error: new Error('no route') }, 'error="no route"'],
    ['objects are JSON', { at: { x: 1 } }, 'at={"x":1}'],
  ])('text: %s', (_name, fields, expected) => {
    expect(formatText({ level: 'info', event: 'e', fields }, 0)).toBe(`00:00:00.000 info  e ${expected}`);
  });

  it('json: errors keep message and code, big integers become text', () => {
    const error = Object.assign(new Error('boom'), { code: 'X' });
    const line = JSON.parse(
      formatJson({ level: 'error', event: 'e', fields: { error, n: 5n } }, 0),
    ) as Record<string, unknown>;
    expect(line).toMatchObject({ level: 'error', event: 'e', n: '5', error: { message: 'boom', code: 'X' } });
  });

  it('journal: the level as a number, no time, the line kept whole', () => {
    const fields = { part: 'dns', at: 'a\nb' };
    const lines = (['error', 'warn', 'info', 'debug'] as const).map((level) =>
      formatJournal({ level, event: 'e', fields }),
    );
    expect(lines).toEqual([3, 4, 6, 7].map((number) => `<${number}>dns: e at="a\\nb"`));
  });
});
