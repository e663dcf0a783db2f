import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { der, readAll, readTlv } from '../../ingress/certificates/der.ts';
import { readOcspAnswer } from '../../ingress/certificates/ocsp-messages.ts';
import { Registry } from '../../src/base/metrics.ts';
import { waitFor } from '../support/wait-for.ts';
import { Backend } from './support/backend.ts';
import { ingress, service } from './support/objects.ts';
import { Rig } from './support/rig.ts';

describe('DER', () => {
  it('is read as it is written', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70_000 }), (bytes) => {
        const read = readTlv(der(0x04, bytes));
        expect(read?.body.equals(bytes)).toBe(true);
      }),
    );
  });

  it('never fails, whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        readAll(Buffer.from(bytes));
        expect(typeof readOcspAnswer(Buffer.from(bytes))).toBe('string');
      }),
    );
  });
});

/** OpenSSL is the CA and the responder. */
describe('OCSP stapling', () => {
  let folder: string;
  let responder: ChildProcess;
  let url: string;

  const openssl = (...args: string[]): void =>
    void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const issue = (name: string): { cert: string; key: string } => {
    writeFileSync(
      join(folder, 'leaf.cnf'),
      `subjectAltName=DNS:${name}\nauthorityInfoAccess=OCSP;URI:${url}\n`,
    );
    openssl(
      'req',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
    );
    openssl(
      'ca',
      '-batch',
      '-config',
      'ca.cnf',
      '-extfile',
      'leaf.cnf',
      '-in',
      `${name}.csr`,
      '-out',
      `${name}.crt`,
      '-notext',
    );
    const read = (file: string): string => readFileSync(join(folder, file), 'utf8');
    return { cert: read(`${name}.crt`) + read('ca.crt'), key: read(`${name}.key`) };
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'weft-ocsp-'));
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    writeFileSync(
      join(folder, 'ca.cnf'),
      '[ca]\ndefault_ca=d\n[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ncertificate=ca.crt\nprivate_key=ca.key\ndefault_md=sha256\ndefault_days=5\npolicy=p\n[p]\ncommonName=supplied\n',
    );
    writeFileSync(join(folder, 'index'), '');
    writeFileSync(join(folder, 'serial'), 'A1B2\n');
    openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '9',
      '-subj',
      '/CN=Test CA',
      '-keyout',
      'ca.key',
      '-out',
      'ca.crt',
    );
  });
  afterAll(() => {
    responder?.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  it('shows the answer of the responder, and none for a revoked certificate', async () => {
    const pairs = { good: issue('good.test'), bad: issue('bad.test') };
    openssl('ca', '-config', 'ca.cnf', '-revoke', 'bad.test.crt');
    const { port } = new URL(url);
    responder = spawn(
      'openssl',
      [
        'ocsp',
        '-port',
        port,
        '-index',
        'index',
        '-CA',
        'ca.crt',
        '-rsigner',
        'ca.crt',
        '-rkey',
        'ca.key',
        '-nmin',
        '60',
      ],
      { cwd: folder, stdio: 'pipe' },
    );
    let said = '';
    for (const output of [responder.stdout, responder.stderr])
      output?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await waitFor('the responder', () => said.includes('ACCEPT') || said.includes('aiting'));
    await using backend = await Backend.open();
    const secret = (name: 'good' | 'bad') => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { namespace: 'default', name },
      stringData: { 'tls.crt': pairs[name].cert, 'tls.key': pairs[name].key },
    });
    const metrics = new Registry();
    await using rig = await Rig.open(
      [
        ...service('web', backend.endpoint),
        ingress({ host: 'good.test', tls: 'good' }),
        ingress({ host: 'bad.test', tls: 'bad' }),
        secret('good'),
        secret('bad'),
      ],
      { settings: { enableOcsp: true }, deps: { metrics } },
    );
    // the first handshake asks; it does not wait
    const staple = await waitFor('a staple', () => stapleFor(rig.https, 'good.test'));
    expect(readOcspAnswer(staple)).toMatchObject({ nextUpdateMs: expect.any(Number) as number });
    expect(await stapleFor(rig.https, 'bad.test')).toBeUndefined();
    await expect.poll(() => stapleFor(rig.https, 'bad.test')).toBeUndefined();
    // by the worker itself, where there is one
    const { values } = await metrics.getSingleMetric('weft_ingress_handed_over_total')!.get();
    expect(values).toEqual([]);
  });
});

/** What a client that asks for it is shown. */
function stapleFor(port: number, servername: string): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({
      port,
      host: '127.0.0.1',
      servername,
      requestOCSP: true,
      rejectUnauthorized: false,
    });
    socket.on('OCSPResponse', (response: Buffer | null) => {
      resolve(response && response.length > 0 ? response : undefined);
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as net.AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
