import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const SCRIPT = new URL('../../../bench/ingress/allocations.ts', import.meta.url).pathname;

// A process of its own: what vitest makes of modules allocates. Ten million requests: run the script without a number.
test(
  'requests on kept connections make no object, composed ones what they are known to',
  { timeout: 180_000 },
  async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [SCRIPT, '200000']);
    expect(stdout.match(/\| 50000 \|/g)).toHaveLength(4);
  },
);
