import { copyFileSync } from 'node:fs';
import { connect } from 'node:tls';
import { expect, it } from 'vitest';
import { nativeStream } from '../../../dns/server/native/native-stream.ts';
import { openPortableStream } from '../../../dns/server/stream-listener.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { tlsEngineSuite } from '../../suites/dns-tls-engine.ts';
import { TestCertificate } from '../support/certificate.ts';
import { TestFolder } from '../support/folder.ts';
import { openServer } from '../support/server.ts';

tlsEngineSuite('portable', openPortableStream);
tlsEngineSuite('native', nativeStream({ clock: systemClock, log: silentLogger }));

it('DNS over HTTPS takes certificates that changed, too', { timeout: 60_000 }, async () => {
  using first = new TestCertificate();
  using second = new TestCertificate();
  using folder = new TestFolder();
  const [cert, key] = [folder.at('crt'), folder.at('key')];
  const write = (by: TestCertificate): void => {
    copyFileSync(by.certFile, cert);
    copyFileSync(by.keyFile, key);
  };
  write(first);
  await using on = await openServer(`https://.:0 {\ntls ${cert} ${key}\nwhoami\n}`);
  const { port } = on.server.addresses[0]!;
  const shown = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
        resolve(socket.getPeerX509Certificate()!.toString());
        socket.destroy();
      });
      socket.once('error', reject);
    });
  expect(await shown()).toBe(first.ca);
  write(second);
  expect(await on.server.reload({ onlyIfChanged: true })).toBe(true);
  expect(await shown()).toBe(second.ca);
});
