import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { canMakeNamespaces, type Output } from '../support/own-network.ts';
import { UpHost } from '../support/up-host.ts';

vi.setConfig({ hookTimeout: 200_000 });

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
let host: UpHost;
const weft = (args: string): Output => host.weft(args);

beforeAll(async () => {
  if (able) host = await UpHost.open('domain', () => ['--cluster-domain', 'mill.test']);
});
afterAll(() => host?.[Symbol.asyncDispose]());

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
    expect(weft(`apply ${host.file('coredns.yaml', COREDNS)}`).status).toBe(0);
    expect(weft('delete svc kube-dns -n kube-system').status).toBe(0);
    expect(weft('trace --dns kubernetes.default').stdout).toMatch(
      /^kubernetes\.default\.svc\.other\.test\. A: NOERROR$/m,
    );
  });
});

if (!able)
  it('a cluster with a domain of its own', (context) => context.skip('network namespaces need root'));
