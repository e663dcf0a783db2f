import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const SCRIPT = new URL('../../../bench/dns/allocations.ts', import.meta.url).pathname;

// A process of its own: what vitest makes of modules allocates. Ten million answers: run the script without a number.
it(
  'answers of the table, and of a thread that receives questions, allocate nothing',
  { timeout: 240_000 },
  async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [SCRIPT, '300000']);
    expect(stdout).toContain('| table | 300000 |');
    expect(stdout).toMatch(/thread and its client \| 30\d{4} /);
    expect(stdout).toMatch(/all answers logged \| 30\d{4} /);
  },
);
