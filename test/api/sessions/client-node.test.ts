import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeUnless, hostLacks } from '../../support/host-lacks.ts';
import { OwnNetwork } from '../../support/own-network.ts';
import { ROOT } from '../../support/source-files.ts';
import { WeftProcess } from '../../support/weft-process.ts';

interface Session {
  readonly watch: string[];
  readonly informer: string[];
  readonly exec: unknown;
  readonly execInput: unknown;
  readonly execMissing: unknown;
  readonly log: string;
  readonly refusal: unknown;
  readonly events: string[];
}

describeUnless(hostLacks())('the JavaScript client', () => {
  it('watches, informs, runs commands and reads logs', async () => {
    await using stack = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), 'weft-client-'));
    stack.defer(() => rmSync(folder, { recursive: true, force: true }));
    const host = stack.use(new OwnNetwork('client'));
    const kubeconfig = join(folder, 'admin.conf');
    const args = ['up', '--data-dir', join(folder, 'data'), '--kubeconfig-out', kubeconfig];
    const weft = stack.use(new WeftProcess(host, args));
    await weft.ready();
    const script = `${ROOT}test/api/sessions/client-node-session.ts`;
    const { status, stdout, stderr } = host.run(process.execPath, [script, kubeconfig], {
      timeoutMs: 200_000,
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const session = JSON.parse(stdout) as Session;
    expect(session.watch).toEqual(['ADDED watched 1', 'MODIFIED watched 2', 'DELETED watched 2']);
    expect(session.informer).toEqual(['add watched 1', 'update watched 2', 'delete watched 2']);
    expect(session.exec).toEqual({
      out: 'to out\n',
      err: 'to err\n',
      status: 'Failure',
      message: 'command terminated with non-zero exit code: exit status 3',
      causes: [{ reason: 'ExitCode', message: '3' }],
    });
    expect(session.execInput).toEqual({ out: 'hello', err: '', status: 'Success' });
    expect(session.execMissing).toMatchObject({
      status: 'Failure',
      message: expect.stringMatching(/"\/no\/such\/program": executable file not found/) as string,
    });
    expect(session.log).toBe('started\n');
    expect(session.refusal).toEqual({ code: 404, reason: 'NotFound' });
    expect(session.events).toEqual(expect.arrayContaining(['Scheduled', 'SuccessfulCreate']));
    await weft.stop();
  }, 300_000);
});
