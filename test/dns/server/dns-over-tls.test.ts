import { copyFileSync, readFileSync } from 'node:fs';
import { connect as connectPlain, type Socket } from 'node:net';
import { connect } from 'node:tls';
import { expect, it } from 'vitest';
import { nativeStream } from '../../../dns/server/native/native-stream.ts';
import { openPortableStream } from '../../../dns/server/stream-listener.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { Registry } from '../../../src/base/metrics.ts';
import { tlsEngineSuite } from '../../suites/dns-tls-engine.ts';
import { waitFor } from '../../support/wait-for.ts';
import { TestCertificate } from '../support/certificate.ts';
import { TestFolder } from '../support/folder.ts';
import { openServer } from '../support/server.ts';

tlsEngineSuite('portable', openPortableStream);
tlsEngineSuite('native', nativeStream({ clock: systemClock, log: silentLogger }));

it('DNS over HTTPS takes certificates that changed, too', async () => {
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

it('counts handshakes that come to nothing', async () => {
  using certificate = new TestCertificate();
  const { certFile, keyFile } = certificate;
  const metrics = new Registry();
  const openStream = nativeStream({ clock: systemClock, log: silentLogger, metrics });
  const block = `tls ${certFile} ${keyFile} ${certFile} {\nclient_auth require_and_verify\n}`;
  await using on = await openServer(`tls://.:0 {\n${block}\nwhoami\n}`, { openStream });
  const { port } = on.server.addresses[0]!;
  const ended = async (socket: Socket): Promise<void> => {
    socket.on('error', () => {});
    socket.resume();
    if (!socket.destroyed) await new Promise((resolve) => socket.once('close', resolve));
  };
  const counted = async (): Promise<number> => {
    const { values } = await metrics.getSingleMetric('weft_engine_handshake_failures_total')!.get();
    return values.reduce((sum, { value }) => sum + value, 0);
  };
  await ended(connectPlain(port, '127.0.0.1').end('no TLS')); // failed
  await ended(connect({ port, host: '127.0.0.1', rejectUnauthorized: false, maxVersion: 'TLSv1.2' })); // no certificate
  await waitFor('both', async () => (await counted()) === 2);
  const pair = { cert: certificate.ca, key: readFileSync(keyFile) };
  const welcome = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...pair });
  await new Promise((resolve, reject) => welcome.once('secureConnect', resolve).once('error', reject));
  welcome.end();
  await ended(welcome);
  expect(await counted()).toBe(2);
});
