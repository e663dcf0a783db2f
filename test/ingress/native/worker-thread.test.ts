import { expect, test } from 'vitest';
import { NativePlane } from '../../../ingress/native/native-plane.ts';
import { compileHost } from '../../../ingress/compile/compile-host.ts';
import { RouteTable } from '../../../ingress/compile/route-table.ts';
import { defaultSettings } from '../../../ingress/default-settings.ts';
import { Fields } from '../../../ingress/http/fields.ts';
import type { Exchange } from '../../../ingress/http/exchange.ts';
import { TimerWheel } from '../../../ingress/timer-wheel.ts';
import { Tracker } from '../../../endpoints/tracker.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { Registry } from '../../../src/base/metrics.ts';
import { EngineMetrics } from '../../../src/net/engine-metrics.ts';
import { waitFor } from '../../support/wait-for.ts';
import { ask } from '../support/client.ts';

const deps = { clock: systemClock, log: silentLogger };

/** A plane whose portable side answers `portable` to everything. */
function openPlane(workers = 1, registry = new Registry()): NativePlane {
  const wheel = new TimerWheel({ clock: systemClock });
  const settings = defaultSettings(false);
  const answer = (exchange: Exchange): void => {
    exchange.sendHead(200, 'OK', Fields.of(['Content-Length', '8']), 8);
    exchange.sendData(Buffer.from('portable'));
    exchange.sendEnd(undefined);
  };
  const plane = NativePlane.open(
    {
      ...deps,
      metrics: EngineMetrics.on(registry),
      snapshots: new Tracker({ log: silentLogger }),
      resolve: () => Promise.reject(new Error('no DNS here')),
      accessLog: undefined,
      clients: {
        wheel,
        settings: () => settings,
        exchangeStarted: answer,
        badRequest: () => {},
        serverTls: () => {
          throw new Error('no TLS here');
        },
        staple: () => undefined,
        passThrough: () => false,
        refused: () => {},
      },
      serverTls: () => undefined,
      responseHeaders: () => [],
      clientCa: () => undefined,
      refused: () => {},
      tallied: () => {},
      ejected: () => {},
      handedOver: () => {},
    },
    { addresses: [{ host: '127.0.0.1', port: 0, secure: false }], workers },
  );
  const host = compileHost({ host: 'web.test', ingresses: [], strict: false, hasTls: false }, []);
  void plane.publish(new RouteTable(1, new Map([['web.test', host]]), [], undefined), settings);
  return plane;
}

test('clients are accepted while the worker is dead, and by the next one', async () => {
  const registry = new Registry();
  await using plane = openPlane(1, registry);
  const [listener] = plane.listeners;
  const { port } = listener!.address;
  const { thread } = plane.lanes[0]!;
  const answered = async (): Promise<string> => (await ask(port)).body;
  await waitFor('the worker', () => thread.isUp);
  expect(await answered()).toBe('portable');
  await waitFor('a client of the worker', () => thread.acceptedCount === 1);
  // what no worker survives
  thread.tell({ kind: 'clusters', clusters: undefined as never });
  await waitFor('its end', () => !thread.isUp);
  expect(await answered()).toBe('portable');
  await waitFor('the next worker', () => thread.isUp);
  const said = await registry.metrics();
  expect(said).toContain('weft_engine_worker_losses_total{worker="ingress worker",reason="ended"} 1');
  expect(said).toContain('weft_engine_worker_restarts_total{worker="ingress worker"} 1');
  const before = thread.acceptedCount;
  await waitFor(
    'the next worker to accept',
    () => {
      void ask(port).catch(() => {});
      return thread.acceptedCount > before;
    },
    20_000,
  );
  expect(await answered()).toBe('portable');
});

test.for([[1], [2]] as const)('a port in use is said as ever, %i workers', async ([workers]) => {
  await using plane = openPlane(workers);
  const { port } = plane.listeners[0]!.address;
  const again = { host: '127.0.0.1', port, secure: false };
  const refused = { ...deps, snapshots: new Tracker({ log: silentLogger }) };
  expect(() => NativePlane.open(refused as never, { addresses: [again], workers })).toThrow(
    `cannot listen on 127.0.0.1:${port}: the port is in use`,
  );
});
