import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { openStore } from '../../src/store/open.ts';
import { EtcdCluster } from '../support/etcd.ts';
import { describeUnless, toolsLacking } from '../support/host-lacks.ts';
import { bytes, expectFault } from '../support/store-calls.ts';
import { waitFor } from '../support/wait-for.ts';

const deps = { clock: systemClock, log: silentLogger };
let folder = '';
const at = (name: string): string => join(folder, name);

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
}

/** A CA of its own with one certificate for servers and clients on 127.0.0.1. */
function makeCertificates(prefix: string): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', `${prefix}ca.key`, '-out', `${prefix}ca.pem`, '-subj', '/CN=ca');
  openssl('req', ...key, '-keyout', `${prefix}node.key`, '-out', `${prefix}node.csr`, '-subj', '/CN=node');
  writeFileSync(at('names.ext'), 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n');
  const sign = ['-CA', `${prefix}ca.pem`, '-CAkey', `${prefix}ca.key`, '-CAcreateserial'];
  const files = ['-in', `${prefix}node.csr`, '-out', `${prefix}node.pem`, '-extfile', 'names.ext'];
  openssl('x509', '-req', ...sign, ...files, '-days', '2');
}

describeUnless(toolsLacking('etcd'))('etcd over TLS', () => {
  let cluster: EtcdCluster;
  const url = (ca: string, client: string): string =>
    `etcd:${cluster.endpoints.join(',')}?prefix=/tls&ca=${at(`${ca}ca.pem`)}` +
    `&cert=${at(`${client}node.pem`)}&key=${at(`${client}node.key`)}`;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'weft-etcd-tls-'));
    makeCertificates('');
    makeCertificates('foreign-');
    cluster = await EtcdCluster.start(3, { ca: at('ca.pem'), cert: at('node.pem'), key: at('node.key') });
    await waitFor(
      'three members',
      async () => {
        await using store = await openStore(deps, url('', ''));
        return (await store.currentRevision()) > 0;
      },
      60_000,
    );
  });
  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  it('reads and writes with the certificate, and goes on without one member', async () => {
    await using store = await openStore(deps, url('', ''));
    expect(await store.put('/a', bytes('1'), 0)).toMatchObject({ ok: true });
    cluster.signal(1, 'SIGKILL');
    let tries = 0;
    // It may have been the leader: until there is another one, a write has no known outcome.
    const written = await waitFor('a write', () => store.put(`/b/${tries++}`, bytes('2'), 0));
    expect(written).toMatchObject({ ok: true });
    expect((await store.get('/a')).entry?.value).toEqual(bytes('1'));
  });

  it('does not talk to a server of a foreign CA, nor without a certificate the server knows', async () => {
    await expectFault(openStore(deps, url('foreign-', '')), 'STORE_UNAVAILABLE');
    await expectFault(openStore(deps, url('', 'foreign-')), 'STORE_UNAVAILABLE');
  });

  it('says which file it cannot read, and that a key is missing', async () => {
    const endpoint = cluster.endpoints[0] ?? '';
    await expectFault(openStore(deps, `etcd:${endpoint}?ca=${at('none.pem')}`), 'STORE_OPEN_FAILED');
    await expectFault(openStore(deps, `etcd:${endpoint}?cert=${at('node.pem')}`), 'STORE_OPEN_FAILED');
  });
});
