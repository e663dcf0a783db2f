import { X509Certificate, createPrivateKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openPki, type Pki, PKI_UNREADABLE } from '../../../src/api/server/identity/pki.ts';
import { systemClock } from '../../../src/base/clock.ts';

let dir: string;
beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), 'weft-pki-'))));
afterEach(() => rmSync(dir, { recursive: true }));

const open = (): Promise<Pki> =>
  openPki(systemClock, { dir, dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] });
const isPair = (one: Pki['server']): boolean =>
  new X509Certificate(one.certificatePem).checkPrivateKey(createPrivateKey(one.keyPem));

describe('keys and certificates of the server', () => {
  it('are found again', async () => {
    const first = await open();
    const second = await open();
    expect(second.ca.pem).toBe(first.ca.pem);
    expect(second.server).toEqual(first.server);
  });

  it.each(['ca.crt', 'ca.key', 'sa.key'])('%s that is damaged is named, with the way out', async (name) => {
    await open();
    writeFileSync(join(dir, name), 'garbage');
    const message = expect.stringMatching(
      `^cannot use ${join(dir, name)}: .*; restore it, or move ${dir} away`,
    );
    await expect(open()).rejects.toMatchObject({ code: PKI_UNREADABLE, message });
    expect(readFileSync(join(dir, name), 'utf8')).toBe('garbage');
  });

  it.each(['apiserver', 'admin'])(
    '%s is made anew when a crash left key and certificate apart',
    async (name) => {
      await open();
      const foreign = readFileSync(join(dir, 'ca.key'));
      writeFileSync(join(dir, `${name}.key`), foreign);
      const { server, admin } = await open();
      expect(isPair(server)).toBe(true);
      expect(isPair(admin)).toBe(true);
    },
  );

  it('a CA with the key of another is refused', async () => {
    await open();
    writeFileSync(join(dir, 'ca.key'), readFileSync(join(dir, 'apiserver.key')));
    await expect(open()).rejects.toThrow(/ca\.key: it is not the key of ca\.crt/);
  });
});
