import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openPki, type Pki, PKI_FOREIGN } from '../../../src/api/server/identity/pki.ts';
import {
  agreeOnKeys,
  PKI_SECRET_WEAK,
  PKI_SECRET_WRONG,
} from '../../../src/api/server/identity/shared-keys.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { openMemoryStore } from '../../../src/store/memory-store.ts';
import type { Store } from '../../../src/store/store.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { waitFor } from '../../support/wait-for.ts';
import { openTestServer, type TestServer } from './support.ts';

const SECRET = 'q7Jw2mS0x8bV4nKd1yRfT6hLp3ZcAeGu\n';

describe('keys that servers share', () => {
  let folder: string;
  let store: Store;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'weft-shared-'));
    store = openMemoryStore({ clock: systemClock, log: silentLogger });
  });
  afterEach(async () => {
    await store[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  const open = (name: string | undefined, secret: string | undefined = SECRET): Promise<Pki> =>
    openPki(systemClock, {
      dir: name === undefined ? undefined : join(folder, name),
      dnsNames: ['localhost'],
      ipAddresses: ['127.0.0.1'],
      ...(secret && { agree: (own) => agreeOnKeys(store, secret, own) }),
    });
  const tokenKey = (pki: Pki): string =>
    pki.serviceAccountKey.export({ format: 'pem', type: 'pkcs8' }).toString();

  it('are those of the first, also after it is gone, and lie in the folder', async () => {
    const first = await open('a');
    const second = await open('b');
    expect(second.ca.pem).toBe(first.ca.pem);
    expect(tokenKey(second)).toBe(tokenKey(first));
    expect(second.server.certificatePem).not.toBe(first.server.certificatePem);
    expect(readFileSync(join(folder, 'b', 'ca.crt'), 'utf8')).toBe(first.ca.pem);
    rmSync(join(folder, 'a'), { recursive: true });
    expect((await open('a')).ca.pem).toBe(first.ca.pem);
    expect((await open(undefined)).ca.pem).toBe(first.ca.pem);
  });

  it('are the same for servers that start at the same moment', async () => {
    const all = await Promise.all(['a', 'b', 'c', 'd'].map((name) => open(name)));
    expect(new Set(all.map(({ ca }) => ca.pem)).size).toBe(1);
    expect(new Set(all.map(tokenKey)).size).toBe(1);
  });

  it('come from a server that had them before it shared them', async () => {
    const before = await open('a', '');
    expect((await open('a')).ca.pem).toBe(before.ca.pem);
    expect((await open('b')).ca.pem).toBe(before.ca.pem);
  });

  it('cannot be read from the store, nor with another secret', async () => {
    await open('a');
    const { entries } = await store.range('/weft/pki/');
    expect(entries).toHaveLength(1);
    expect(Buffer.from(entries[0]!.value).toString('latin1')).not.toMatch(/PRIVATE|CERTIFICATE|BEGIN/);
    await expect(open('b', SECRET.toLowerCase())).rejects.toMatchObject({ code: PKI_SECRET_WRONG });
    expect(existsSync(join(folder, 'b', 'ca.key'))).toBe(false);
    await expect(open('b', 'short')).rejects.toMatchObject({ code: PKI_SECRET_WEAK });
  });

  it('never replace a CA that is in use', async () => {
    await open('a');
    const other = await open('b', '');
    const message = expect.stringMatching(
      /ca\.crt is not the CA in the store: move .* away to join/,
    ) as string;
    await expect(open('b')).rejects.toMatchObject({ code: PKI_FOREIGN, message });
    expect(readFileSync(join(folder, 'b', 'ca.crt'), 'utf8')).toBe(other.ca.pem);
  });
});

describe('the kubernetes service', () => {
  const SERVICE = '/api/v1/namespaces/default/services/kubernetes';
  const ENDPOINTS = '/api/v1/namespaces/default/endpoints/kubernetes';
  const SLICE = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes';

  const hosts = async (server: TestServer): Promise<string[]> =>
    ((await server.call('GET', SLICE)).body.endpoints as { addresses: string[] }[])
      .flatMap(({ addresses }) => addresses)
      .toSorted();

  it('comes back when it or its endpoints are deleted', async () => {
    await using server = await openTestServer({ advertise: '10.0.0.1:6443' });
    const before = await server.call('GET', SERVICE);
    for (const path of [SERVICE, ENDPOINTS, SLICE]) {
      expect((await server.call('DELETE', path)).status).toBe(200);
      await waitFor(path, async () => (await server.call('GET', path)).status === 200);
    }
    const { body } = await server.call('GET', SERVICE);
    expect(body.spec.clusterIP).toBe(before.body.spec.clusterIP);
    expect(body.metadata.uid).not.toBe(before.body.metadata.uid);
    const { body: endpoints } = await server.call('GET', ENDPOINTS);
    expect(endpoints.subsets[0].addresses).toEqual([{ ip: '10.0.0.1' }]);
  });

  it('has every living server of a shared store behind it', async () => {
    const clock = new FakeClock();
    await using store = openMemoryStore({ clock, log: silentLogger });
    const open = (advertise: string): Promise<TestServer> =>
      openTestServer({ advertise, sharedStore: true }, { store, clock });
    await using first = await open('10.0.0.1:6443');
    expect(await hosts(first)).toEqual(['10.0.0.1']);
    const second = await open('10.0.0.2:6443');
    expect(await hosts(first)).toEqual(['10.0.0.1', '10.0.0.2']);
    await second[Symbol.asyncDispose]();
    await waitFor(
      'the second to be gone',
      async () => {
        await clock.advance(1_000);
        return (await hosts(first)).length === 1;
      },
      30_000,
    );
    expect(await hosts(first)).toEqual(['10.0.0.1']);
  });
});
