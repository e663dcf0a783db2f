import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { canMakeNamespaces, type Output, OwnNetwork } from '../support/own-network.ts';
import { ROOT } from '../support/source-files.ts';
import { WeftProcess } from '../support/weft-process.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 200_000 });

const COREDNS = `
apiVersion: v1
kind: ConfigMap
metadata: {name: coredns, namespace: kube-system}
data:
  Corefile: |
    .:53 {
        kubernetes other.test in-addr.arpa ip6.arpa
    }
`;
const able = canMakeNamespaces();
let host: OwnNetwork;
let folder: string;
let up: WeftProcess;
let env: NodeJS.ProcessEnv;
const weft = (args: string): Output =>
  host.run(`${ROOT}bin/weft`, args.split(' '), { timeoutMs: 60_000, env });

beforeAll(async () => {
  if (!able) return;
  folder = mkdtempSync(join(tmpdir(), 'weft-domain-'));
  env = { ...process.env, KUBECONFIG: '', HOME: folder, XDG_STATE_HOME: join(folder, 'state') };
  host = new OwnNetwork('domain');
  up = new WeftProcess(host, ['up', '--cluster-domain', 'mill.test'], env);
  await up.ready();
});
afterAll(async () => {
  if (!able) return;
  await up.stop();
  host[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

describe.runIf(able)('a cluster with a domain of its own', () => {
  it.each([
    ['trace --dns kubernetes.default', /^kubernetes\.default\.svc\.mill\.test\. A: NOERROR$/m],
    ['trace --to kubernetes.default:443', /^verdict +to /m],
    ['trace --to https://kubernetes.default.svc.mill.test/', /^verdict +to /m],
    [
      'trace --dns kubernetes.default --cluster-domain else.test',
      /kubernetes\.default\.svc\.else\.test\. A: NOERROR$/m,
    ],
    ['resolve kubernetes.default', /^kubernetes\.default\.svc\.mill\.test\. \d+ IN A 127\.96\.0\.1$/m],
  ])('weft %s', (args, output) => {
    const { stdout, stderr, status } = weft(args);
    expect(stderr).toBe('');
    expect(stdout).toMatch(output);
    expect(status).toBe(0);
  });

  it('without a word of weft up, the Corefile of the cluster says it', () => {
    writeFileSync(join(folder, 'coredns.yaml'), COREDNS);
    expect(weft(`apply ${folder}/coredns.yaml`).status).toBe(0);
    expect(weft('delete svc kube-dns -n kube-system').status).toBe(0);
    expect(weft('trace --dns kubernetes.default').stdout).toMatch(
      /^kubernetes\.default\.svc\.other\.test\. A: NOERROR$/m,
    );
  });
});

if (!able)
  it('a cluster with a domain of its own', (context) => context.skip('network namespaces need root'));
