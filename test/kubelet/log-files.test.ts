import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { LogOptions } from '../../src/api/kinds/pod-streams.ts';
import { LogFile } from '../../src/kubelet/logs/log-file.ts';
import { LineFramer, logTime, parseLogLine } from '../../src/kubelet/logs/log-line.ts';
import { readLog } from '../../src/kubelet/logs/log-reader.ts';

let folder: string;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'weft-log-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const ALL: LogOptions = {
  follow: false,
  previous: false,
  timestamps: false,
  tailLines: undefined,
  limitBytes: undefined,
  sinceTimeMs: undefined,
};

async function read(path: string, options: Partial<LogOptions> = {}): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readLog(path, { ...ALL, ...options }, undefined, new AbortController().signal))
    chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

it('frames any bytes in any chunks so that their text comes back', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 40 })), fc.integer({ min: 1, max: 9 }), (chunks, max) => {
      const framer = new LineFramer('stdout', max);
      const framed = Buffer.concat([
        ...chunks.map((one) => framer.push(Buffer.from(one, 'latin1'), 'T')),
        framer.end('T'),
      ]);
      const lines = framed
        .toString('latin1')
        .split('\n')
        .slice(0, -1)
        .map((line) => parseLogLine(line));
      const text = lines.map((line) => (line ? line.text + (line.partial ? '' : '\n') : 'BROKEN')).join('');
      const whole = Buffer.from(chunks.join(''), 'latin1').toString('latin1');
      expect(text).toBe(whole === '' || whole.endsWith('\n') ? whole : `${whole}\n`);
    }),
  );
});

it('rotates, keeps the newest parts, and reads and tails over them', async () => {
  const path = join(folder, '0.log');
  {
    await using file = await LogFile.open(path, { maxBytes: 400, filesMax: 3 });
    const framer = new LineFramer('stderr', 1000);
    for (let i = 0; i < 30; i++)
      await file.append(framer.push(Buffer.from(`line ${i}\n`), logTime(i * 1000)));
  }
  expect(readdirSync(folder).sort()).toEqual(['0.log', '0.log.1', '0.log.2']);
  const all = (await read(path)).trimEnd().split('\n');
  expect(all.at(-1)).toBe('line 29');
  expect(all.length).toBeGreaterThan(15);
  for (const lines of [0, 1, 5, 9, all.length, 1000]) {
    const expected = lines === 0 ? '' : `${all.slice(-lines).join('\n')}\n`;
    expect(await read(path, { tailLines: lines }), `${lines} lines`).toBe(expected);
  }
  expect(await read(path, { sinceTimeMs: 28_000 })).toBe('line 28\nline 29\n');
  expect(await read(path, { tailLines: 1, timestamps: true })).toBe(
    '1970-01-01T00:00:29.000000000Z line 29\n',
  );
  expect(await read(path, { limitBytes: 4, tailLines: 1 })).toBe('line');
});
