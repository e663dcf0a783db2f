import { afterAll, describe, expect, it } from 'vitest';
import { TestCertificate } from '../support/certificate.ts';
import { clusterOf } from '../support/cluster.ts';
import { answers, ask, openServer } from '../support/server.ts';

const certificate = new TestCertificate();
afterAll(() => certificate[Symbol.dispose]());

const WEB = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'ns' } },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'ns', name: 'web' },
    spec: { clusterIP: '10.96.0.1', ports: [{ port: 80 }] },
  },
];

/** One of our servers asks another, each way it can. */
describe('forward', () => {
  it.each([
    ['udp', (port: number) => `127.0.0.1:${port}`],
    ['tls', (port: number) => `tls://127.0.0.1:${port}`],
    ['https', (port: number) => `https://127.0.0.1:${port}/dns-query`],
  ])('over %s', async (transport, address) => {
    const tls = `tls ${certificate.certFile} ${certificate.keyFile}`;
    const keys = '.:0 tls://.:0 https://.:0';
    await using far = await openServer(`${keys} {\n${tls}\nkubernetes k\n}`, { cluster: clusterOf(WEB) });
    const { port } = far.server.addresses.find((one) => one.transport === transport)!;
    const to = address(port);
    const corefile = `. {\n forward . ${to} {\n tls ${certificate.certFile}\n tls_servername localhost\n}\n}`;
    await using near = await openServer(corefile);
    for (let i = 0; i < 3; i++) {
      expect(answers(await ask(near, 'web.ns.svc.k. A'))).toEqual(['web.ns.svc.k. 5 IN A 10.96.0.1']);
    }
    expect((await ask(near, 'none.ns.svc.k. A')).rcode).toBe('NXDOMAIN');
  });

  it('does not believe a certificate it was not told to', async () => {
    const tls = `tls ${certificate.certFile} ${certificate.keyFile}`;
    await using far = await openServer(`tls://.:0 {\n${tls}\nkubernetes k\n}`, { cluster: clusterOf(WEB) });
    const { port } = far.server.addresses[0]!;
    await using near = await openServer(`. {\n forward . tls://127.0.0.1:${port}\n}`);
    expect((await ask(near, 'web.ns.svc.k. A')).rcode).toBe('SERVFAIL');
  });
});
