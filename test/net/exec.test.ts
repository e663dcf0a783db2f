import { describe, expect, it } from 'vitest';
import { exec, execBy } from '../../src/net/exec.ts';
import { FakeClock } from '../support/fake-clock.ts';

describe('exec', () => {
  it('gives output and exit code, feeding the input', async () => {
    expect(await exec('sh', ['-c', 'cat; echo err >&2; exit 3'], { input: 'in' })).toEqual({
      exitCode: 3,
      stdout: 'in',
      stderr: 'err\n',
    });
  });
  it('says which program is missing', async () => {
    await expect(exec('no-such-program', [])).rejects.toMatchObject({
      code: 'EXEC_NOT_FOUND',
      message: 'no-such-program is not installed',
    });
  });
  it('kills at the time limit', async () => {
    const clock = new FakeClock();
    const running = execBy(clock)('sleep', ['60'], { timeoutMs: 20 });
    const killed = expect(running).rejects.toMatchObject({ code: 'EXEC_TIMEOUT' });
    await clock.advance(20);
    await killed;
  });
  it.each(['', ' >&2'])('kills what writes without end%s', async (where) => {
    const running = exec('sh', ['-c', `exec yes${where}`], { outputMaxBytes: 100_000 });
    await expect(running).rejects.toMatchObject({ code: 'EXEC_OUTPUT' });
  });
  it('takes as much output as is allowed', async () => {
    const options = { input: 'x'.repeat(100_000), outputMaxBytes: 100_000 };
    expect((await exec('cat', [], options)).stdout).toHaveLength(100_000);
  });
  it('kills on abort', async () => {
    const abort = new AbortController();
    const running = exec('sleep', ['60'], { signal: abort.signal });
    abort.abort();
    await expect(running).rejects.toMatchObject({ code: 'EXEC_ABORTED' });
  });
});
