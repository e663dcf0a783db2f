import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import tls from 'node:tls';
import * as x509 from '@peculiar/x509';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Registry } from '../../src/base/metrics.ts';
import { waitFor } from '../support/wait-for.ts';
import { Backend } from './support/backend.ts';
import { ask, type Told } from './support/client.ts';
import { ENGINE } from './support/engine.ts';
import { ingress, secret, service } from './support/objects.ts';
import { Rig } from './support/rig.ts';

/** Row 19: auth-tls-*, on whichever engine. */
interface Issued {
  readonly cert: string;
  readonly key: string;
  readonly keys: webcrypto.CryptoKeyPair;
  readonly certificate: x509.X509Certificate;
}
type Pair = Pick<Issued, 'cert' | 'key'>;

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const PATIENCE_MS = 30_000;
const metrics = new Registry();

async function issue(
  name: string,
  issuer?: Issued,
  { ca = false, lifeMs = 3_600_000 } = {},
): Promise<Issued> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${name}`,
    issuer: issuer?.certificate.subject ?? `CN=${name}`,
    publicKey: keys.publicKey,
    signingKey: issuer?.keys.privateKey ?? keys.privateKey,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - 7_200_000),
    notAfter: new Date(Date.now() + lifeMs),
    extensions: [
      new x509.BasicConstraintsExtension(ca, undefined, true),
      ...(ca ? [] : [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }])]),
    ],
  });
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    cert: certificate.toString('pem'),
    key: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`,
    keys,
    certificate,
  };
}

const chain = ({ key }: Issued, ...links: readonly Issued[]): Pair => ({
  cert: links.map(({ cert }) => cert).join('\n'),
  key,
});

let backend: Backend;
let rig: Rig;
let ca: Issued;
let otherCa: Issued;
let client: Issued;
let stranger: Issued;
let expired: Issued;
/** One certificate between it and the authority; two. */
let deep: Pair;
let deeper: Pair;

beforeAll(async () => {
  x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0]);
  [ca, otherCa] = [
    await issue('ca', undefined, { ca: true }),
    await issue('other-ca', undefined, { ca: true }),
  ];
  const middle = await issue('middle', ca, { ca: true });
  const lower = await issue('lower', middle, { ca: true });
  client = await issue('client', ca);
  stranger = await issue('stranger', otherCa);
  expired = await issue('expired', ca, { lifeMs: -3_600_000 });
  const leaf = await issue('deep', middle);
  deep = chain(leaf, leaf, middle);
  const last = await issue('deeper', lower);
  deeper = chain(last, last, lower, middle);
  const server = await issue('mtls.test', otherCa);
  const pair = { 'tls.crt': server.cert, 'tls.key': server.key };
  backend = await Backend.open();
  rig = await Rig.open(
    [
      ...service('web', backend.endpoint),
      secret('ca', { 'ca.crt': ca.cert }),
      secret('other-ca', { 'ca.crt': otherCa.cert }),
      secret('server', pair, 'kubernetes.io/tls'),
      ingress({ host: 'other.test', tls: 'server', annotations: { 'auth-tls-secret': 'default/other-ca' } }),
      ingress({ host: 'open.test', tls: 'server' }),
    ],
    { deps: { metrics } },
  );
});

beforeEach(() => {
  backend.received.length = 0;
});

afterAll(async () => {
  await rig[Symbol.asyncDispose]();
  await backend[Symbol.asyncDispose]();
});

async function guard(annotations: Readonly<Record<string, string>>): Promise<void> {
  await rig.apply(
    ingress({
      host: 'mtls.test',
      tls: 'server',
      annotations: { 'auth-tls-secret': 'default/ca', ...annotations },
    }),
  );
}

async function enter(
  annotations: Readonly<Record<string, string>>,
  pair: Pair | undefined,
  { sni = 'mtls.test', headers = {} }: { sni?: string; headers?: Record<string, string> } = {},
): Promise<number> {
  await guard(annotations);
  return (await visit(pair, sni, headers)).status;
}

function visit(pair: Pair | undefined, sni: string, headers: Record<string, string> = {}): Promise<Told> {
  return ask(rig.https, {
    host: 'mtls.test',
    sni,
    headers,
    ...(pair && { tls: { cert: pair.cert, key: pair.key } }),
  });
}

async function handedOver(): Promise<number> {
  const { values } = await metrics.getSingleMetric('weft_ingress_handed_over_total')!.get();
  return values.reduce((sum, { value }) => sum + value, 0);
}

describe('client certificates', () => {
  test('a good one gets in, and the backend is told who came', async () => {
    await guard({ 'auth-tls-pass-certificate-to-upstream': 'true' });
    const before = await handedOver();
    expect((await visit(client, 'mtls.test')).status).toBe(200);
    expect(backend.last.headers).toMatchObject({
      'ssl-client-verify': 'SUCCESS',
      'ssl-client-subject-dn': 'CN=client',
      'ssl-client-issuer-dn': 'CN=ca',
    });
    expect(decodeURIComponent(String(backend.last.headers['ssl-client-cert']))).toContain(
      'BEGIN CERTIFICATE',
    );
    expect(await enter({}, client)).toBe(200);
    expect(backend.last.headers).not.toHaveProperty('ssl-client-cert');
    // by the worker itself, where there is one
    expect(await handedOver()).toBe(before);
  });

  test.for(['ssl-client-verify', 'SSL-Client-Verify', 'ssl-client-subject-dn', 'Ssl-Client-Cert'])(
    'what a client says of itself in %s goes no further',
    async (name) => {
      const headers = { [name]: 'forged' };
      expect(await enter({ 'auth-tls-pass-certificate-to-upstream': 'true' }, client, { headers })).toBe(200);
      expect(Object.values(backend.last.headers)).not.toContain('forged');
      expect(backend.last.headers['ssl-client-subject-dn']).toBe('CN=client');
      expect(await enter({ 'auth-tls-verify-client': 'optional' }, undefined, { headers })).toBe(200);
      expect(Object.values(backend.last.headers)).not.toContain('forged');
      expect(backend.last.headers['ssl-client-verify']).toBe('NONE');
    },
  );

  test('none, a strange one and an old one stay out with 400', async () => {
    for (const pair of [undefined, stranger, expired]) expect(await enter({}, pair)).toBe(400);
    expect(backend.received).toEqual([]);
  });

  test('optional: none passes and is told as NONE, a strange one not', async () => {
    expect(await enter({ 'auth-tls-verify-client': 'optional' }, undefined)).toBe(200);
    expect(backend.last.headers['ssl-client-verify']).toBe('NONE');
    expect(backend.last.headers).not.toHaveProperty('ssl-client-subject-dn');
    expect(await enter({ 'auth-tls-verify-client': 'optional' }, stranger)).toBe(400);
  });

  test('optional_no_ca: whoever comes passes, and the backend is told what is wrong', async () => {
    const verdicts: unknown[] = [];
    for (const pair of [undefined, client, stranger, expired]) {
      expect(await enter({ 'auth-tls-verify-client': 'optional_no_ca' }, pair)).toBe(200);
      verdicts.push(backend.last.headers['ssl-client-verify']);
    }
    expect(verdicts).toEqual([
      'NONE',
      'SUCCESS',
      'FAILED:UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      'FAILED:CERT_HAS_EXPIRED',
    ]);
  });

  test('off: nobody is asked', async () => {
    expect(await enter({ 'auth-tls-verify-client': 'off' }, client)).toBe(200);
    expect(backend.last.headers['ssl-client-verify']).toBe('NONE');
  });

  test('auth-tls-match-cn is a 403, auth-tls-error-page a redirect', async () => {
    await guard({ 'auth-tls-match-cn': 'CN=client' });
    const before = await handedOver();
    expect((await visit(client, 'mtls.test')).status).toBe(200);
    expect(await handedOver()).toBe(before); // by the worker itself, where there is one
    expect(await enter({ 'auth-tls-match-cn': 'CN=boss' }, client)).toBe(403);
    await guard({ 'auth-tls-error-page': 'https://help.test/' });
    const { status, headers } = await visit(undefined, 'mtls.test');
    expect([status, headers.location]).toEqual([302, 'https://help.test/']);
  });

  test.for<[string | undefined, number, number, number]>([
    [undefined, 200, 200, 400],
    ['0', 200, 400, 400],
    ['1', 200, 200, 400],
    ['2', 200, 200, 200],
  ])('auth-tls-verify-depth %s lets in none between: %i, one: %i, two: %i', async ([depth, ...expected]) => {
    const annotations = depth === undefined ? {} : { 'auth-tls-verify-depth': depth };
    const seen = [];
    for (const pair of [client, deep, deeper]) seen.push(await enter(annotations, pair));
    // node:tls does not show how long a chain is
    const known = ENGINE === 'native' || depth === '0' ? expected : [200, 200, 200];
    expect(seen).toEqual(known);
  });

  test('a certificate checked for another host does not count here', async () => {
    const other = { sni: 'other.test' };
    expect(await enter({}, stranger, other)).toBe(421);
    expect(await enter({ 'auth-tls-verify-client': 'optional' }, stranger, other)).toBe(200);
    expect(backend.last.headers['ssl-client-verify']).toBe('NONE');
    for (const sni of ['nobody.test', 'open.test']) expect(await enter({}, undefined, { sni })).toBe(400);
  });

  test('a CA that is missing lets nobody in', async () => {
    expect(await enter({ 'auth-tls-secret': 'default/gone' }, client)).toBe(503);
  });

  test('a CA that is no certificate lets nobody in', async () => {
    await rig.apply(secret('bad-ca', { 'ca.crt': 'no certificate' }));
    const told = await enter({ 'auth-tls-secret': 'default/bad-ca' }, client).catch(() => 'cut off');
    expect([400, 503, 'cut off']).toContain(told);
    expect(backend.received).toEqual([]);
  });
});

describe('a kept connection', () => {
  /** The same request over one connection, before and after a change; undefined = it was closed without an answer. */
  async function before(
    change: () => Promise<void>,
  ): Promise<{ readonly status: number; readonly closed: boolean }> {
    const socket = tls.connect({
      port: rig.https,
      host: '127.0.0.1',
      servername: 'mtls.test',
      rejectUnauthorized: false,
      cert: client.cert,
      key: client.key,
    });
    let [said, closed] = ['', false];
    socket.on('data', (bytes: Buffer) => (said += bytes.toString('latin1')));
    socket.on('error', () => {});
    socket.on('close', () => (closed = true));
    const get = async (): Promise<number> => {
      said = '';
      socket.write('GET / HTTP/1.1\r\nHost: mtls.test\r\n\r\n');
      await waitFor('an answer', () => closed || said.includes('\r\n\r\n'), PATIENCE_MS);
      return Number(said.slice(9, 12));
    };
    expect(await get()).toBe(200);
    backend.received.length = 0;
    await change();
    const status = await get();
    if (status === 421) await waitFor('its end', () => closed, PATIENCE_MS);
    socket.destroy();
    return { status, closed };
  }
  const restore = (): Promise<void> => rig.apply(secret('ca', { 'ca.crt': ca.cert }));

  test('goes on while nothing changes for it', async () => {
    await guard({});
    const again = (): Promise<void> => rig.apply(ingress({ host: 'unrelated.test' }));
    expect((await before(again)).status).toBe(200);
  });

  test('is turned away once its authority is another, and closed', async () => {
    await guard({});
    const change = (): Promise<void> => rig.apply(secret('ca', { 'ca.crt': otherCa.cert }));
    expect(await before(change)).toEqual({ status: 421, closed: true });
    await restore();
    expect(backend.received).toEqual([]);
  });

  test('gets in nowhere once its authority is gone', async () => {
    await guard({});
    const change = (): Promise<void> => rig.remove(secret('ca', {}));
    expect((await before(change)).status).toBe(503);
    await restore();
    expect(backend.received).toEqual([]);
  });

  test('is turned away once fewer may stand between', async () => {
    await guard({});
    expect((await before(() => guard({ 'auth-tls-verify-depth': '0' }))).status).toBe(421);
    expect(backend.received).toEqual([]);
  });

  test('is judged by the name that is asked for now', async () => {
    await guard({});
    expect((await before(() => guard({ 'auth-tls-match-cn': 'CN=boss' }))).status).toBe(403);
    expect(backend.received).toEqual([]);
  });
});

describe('a ticket', () => {
  interface Session {
    readonly status: number;
    readonly reused: boolean;
    readonly ticket: Buffer | undefined;
  }

  /** One request over a connection that may begin with a ticket. */
  async function come(
    by: Pair | undefined,
    options: { sni: string; host?: string; version: tls.SecureVersion; ticket?: Buffer },
  ): Promise<Session> {
    const { sni, host = sni, version, ticket } = options;
    const socket = tls.connect({
      port: rig.https,
      host: '127.0.0.1',
      servername: sni,
      rejectUnauthorized: false,
      minVersion: version,
      maxVersion: version,
      ...(by && { cert: by.cert, key: by.key }),
      ...(ticket && { session: ticket }),
    });
    let [said, closed, given] = ['', false, undefined as Buffer | undefined];
    socket.on('data', (bytes: Buffer) => (said += bytes.toString('latin1')));
    socket.on('error', () => {});
    socket.on('close', () => (closed = true));
    socket.on('session', (session: Buffer) => (given = session));
    socket.on('secureConnect', () => socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`));
    await waitFor('an answer', () => closed || said.includes('\r\n\r\n'), PATIENCE_MS);
    const reused = socket.isSessionReused();
    socket.destroy();
    return { status: Number(said.slice(9, 12)), reused, ticket: given };
  }

  const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;

  test.for(VERSIONS)('of %s says who its owner is, and no more', async (version) => {
    await guard({});
    const here = { sni: 'mtls.test', version };
    const { status, ticket } = await come(client, here);
    expect(status).toBe(200);
    const again = { ...here, ...(ticket && { ticket }) };
    expect((await come(client, again)).status).toBe(200);
    expect((await come(client, again)).reused).toBe(true);
    expect(backend.last.headers['ssl-client-subject-dn']).toBe('CN=client');
  });

  test.for(VERSIONS)('of %s from a refused client lets nobody in', async (version) => {
    await guard({});
    const here = { sni: 'mtls.test', version };
    for (const who of [undefined, stranger, expired, ...(ENGINE === 'native' ? [deeper] : [])]) {
      const { status, ticket } = await come(who, here);
      expect(status).toBe(400);
      if (ticket) expect((await come(who, { ...here, ticket })).status).toBe(400);
    }
    expect(backend.received).toEqual([]);
  });

  test.for(VERSIONS)('of %s is of no use at another host', async (version) => {
    await guard({});
    for (const [by, from, to] of [
      [undefined, 'open.test', 'mtls.test'],
      [stranger, 'other.test', 'mtls.test'],
      [client, 'mtls.test', 'other.test'],
    ] as const) {
      const { ticket } = await come(by, { sni: from, version });
      const { status, reused } = await come(undefined, { sni: to, version, ...(ticket && { ticket }) });
      expect([from, to, status, reused]).toEqual([from, to, 400, false]);
    }
  });

  test.for(VERSIONS)('of %s does not outlive the authority behind it', async (version) => {
    await guard({});
    const here = { sni: 'mtls.test', version };
    const { status, ticket } = await come(client, here);
    expect(status).toBe(200);
    await rig.apply(secret('ca', { 'ca.crt': otherCa.cert }));
    const late = await come(client, { ...here, ...(ticket && { ticket }) });
    expect([late.status, late.reused]).toEqual([400, false]);
    expect((await come(stranger, here)).status).toBe(200);
    await rig.apply(secret('ca', { 'ca.crt': ca.cert }));
  });
});
