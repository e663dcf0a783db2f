import { afterAll, describe, it } from 'vitest';
import { nativeStream } from '../../../dns/server/native/native-stream.ts';
import type { StreamEngine } from '../../../dns/server/stream-engine.ts';
import { openPortableStream } from '../../../dns/server/stream-listener.ts';
import { encodeMessage } from '../../../dns/wire/encode.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { createLogger, type LogRecord, silentLogger } from '../../../src/base/log.ts';
import { streamEngineSuite } from '../../suites/dns-stream-engine.ts';
import { waitFor } from '../../support/wait-for.ts';
import { TestCertificate } from '../support/certificate.ts';
import { clusterOf } from '../support/cluster.ts';
import { openServer, questionOf } from '../support/server.ts';
import { askStream } from '../support/wire-client.ts';

const deps = { clock: systemClock, log: silentLogger };
streamEngineSuite({ name: 'portable', open: openPortableStream, usesTable: false });
streamEngineSuite({ name: 'native', open: nativeStream(deps), usesTable: true });

describe('the native stream engine', () => {
  const certificate = new TestCertificate();
  afterAll(() => certificate[Symbol.dispose]());
  const { certFile, keyFile, ca } = certificate;

  it.each([
    ['tcp', '.', undefined],
    ['tls', `tls://.:0 {\ntls ${certFile} ${keyFile}`, { ca }],
  ])(
    'starts its thread anew when that fails; clients that come meanwhile wait: %s',
    async (transport, block, tls) => {
      const logs: LogRecord[] = [];
      const log = createLogger((line) => logs.push(line), 'info');
      let engine: StreamEngine | undefined;
      await using on = await openServer(`${block}${tls ? '' : ' {'}\n kubernetes k\n}`, {
        cluster: clusterOf([]),
        openStream: async (streamDeps, options) =>
          (engine = await nativeStream({ clock: systemClock, log })(streamDeps, options)),
      });
      const target = on.server.addresses.find((one) => one.transport === transport)!;
      const broken = { options: { zones: [undefined] }, table: { buffers: {}, onBuffers: () => undefined } };
      const path = {
        names: broken,
        cookieSecret: new Uint8Array(16),
        countsMemory: () => new Float64Array(1),
        watchedAnswers: () => undefined,
      };
      engine!.useFastPath!(path as never); // a table that no thread can read
      const question = encodeMessage(questionOf('none.ns.svc.k. A'));
      const asked = (): Promise<Uint8Array[]> => askStream(target, question, tls ? { tls } : {});
      void asked().catch(() => undefined);
      await waitFor('the failure', () =>
        logs.some(({ event }) => event === 'dns stream thread started anew'),
      );
      engine!.useFastPath!(undefined);
      await waitFor('an answer', async () => (await asked().catch(() => [])).length > 0);
    },
  );
});
