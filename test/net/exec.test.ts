import { describe, expect, it } from 'vitest';
import { exec } from '../../src/net/exec.ts';

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
    await expect(exec('sleep', ['60'], { timeoutMs: 20 })).rejects.toMatchObject({ code: 'EXEC_TIMEOUT' });
  });
  it('kills on abort', async () => {
    const abort = new AbortController();
    const running = exec('sleep', ['60'], { signal: abort.signal });
    abort.abort();
    await expect(running).rejects.toMatchObject({ code: 'EXEC_ABORTED' });
  });
});
