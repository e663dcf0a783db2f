import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { selfSignedCertificate } from '../../src/net/self-signed.ts';
import { noRoute } from '../../ingress/compile/no-route.ts';
import type { Route } from '../../ingress/compile/route.ts';
import { defaultSettings } from '../../ingress/default-settings.ts';
import { readQuestion } from '../../ingress/explain/question.ts';
import { LineBuffer } from '../../ingress/observe/line-buffer.ts';
import { TrafficObserver } from '../../ingress/observe/traffic.ts';
import { contextOf, type RoutedRequest } from '../../ingress/relay/context.ts';
import { RequestRecord } from '../../ingress/relay/record.ts';
import { Registry } from '../../src/base/metrics.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { Backend } from './support/backend.ts';
import { ask } from './support/client.ts';
import { ingress, service } from './support/objects.ts';
import { Rig } from './support/rig.ts';

const route: Route = {
  ...noRoute,
  host: 'shop.test',
  path: '/cart',
  ingress: { namespace: 'shop', name: 'web' },
  target: {
    kind: 'service',
    backend: { namespace: 'shop', service: 'cart', port: { number: 80 } },
    key: 'shop/cart:80',
  },
};

function requestOf(method: string, headers: Record<string, string> = {}, on: Route = route): RoutedRequest {
  const question = readQuestion({ method, url: 'http://shop.test/cart?a=1', headers, clientIp: '192.0.2.7' });
  if (typeof question === 'string') throw new Error(question);
  const settings = { ...defaultSettings(false), accessLog: 'json' as const };
  return {
    ...contextOf(question.head, question.connection, settings),
    route: on,
    path: '/cart',
    captures: undefined,
  };
}

/** A request that took `ms` in all: connected after 1 ms, head after half of it. */
function recordOf(ms: number): RequestRecord {
  const record = new RequestRecord(1_000, 'id-1');
  record.tryStarted('10.0.0.1:80', 1_000);
  record.connected(1_001);
  record.headArrived(200, 1_000 + ms / 2);
  return record;
}

function setUp(): { observer: TrafficObserver; metrics: Registry; lines: string[] } {
  const metrics = new Registry();
  const lines: string[] = [];
  const observer = new TrafficObserver({
    metrics,
    clock: new FakeClock(),
    accessLog: (line) => lines.push(line),
    exporter: { add() {} },
  });
  return { observer, metrics, lines };
}

const sampleOf = async (metrics: Registry, name: string): Promise<number | undefined> => {
  const line = (await metrics.metrics()).split('\n').find((each) => each.startsWith(name));
  return line === undefined ? undefined : Number(line.split(' ').at(-1));
};

describe('metrics of requests', () => {
  it("counts under ingress-nginx's names, with exact sums", async () => {
    const { observer, metrics } = setUp();
    observer.finished(recordOf(40), requestOf('GET'), 200, 128, 1_040);
    observer.finished(recordOf(300), requestOf('GET'), 200, 72, 1_300);
    const prefix = 'nginx_ingress_controller_';
    const labels =
      'ingress="web",namespace="shop",service="cart",status="200",method="GET",host="shop.test",path="/cart",canary=""';
    expect(await sampleOf(metrics, `${prefix}requests{${labels}}`)).toBe(2);
    expect(await sampleOf(metrics, `${prefix}request_duration_seconds_sum{${labels}}`)).toBeCloseTo(0.34);
    expect(await sampleOf(metrics, `${prefix}request_duration_seconds_bucket{${labels},le="0.05"}`)).toBe(1);
    expect(await sampleOf(metrics, `${prefix}request_duration_seconds_bucket{${labels},le="+Inf"}`)).toBe(2);
    expect(await sampleOf(metrics, `${prefix}header_duration_seconds_sum{${labels}}`)).toBeCloseTo(0.17);
    expect(await sampleOf(metrics, `${prefix}connect_duration_seconds_sum{${labels}}`)).toBeCloseTo(0.002);
    expect(await sampleOf(metrics, `${prefix}response_size_sum{${labels}}`)).toBe(200);
  });

  it('goes on counting when the route is compiled anew', async () => {
    const { observer, metrics } = setUp();
    observer.finished(recordOf(1), requestOf('GET'), 200, 0, 1_001);
    observer.finished(recordOf(1), requestOf('GET', {}, { ...route }), 200, 0, 1_001);
    expect(await sampleOf(metrics, 'nginx_ingress_controller_requests{')).toBe(2);
  });

  it('gives unknown methods one label, and hosts nobody has rules for none', async () => {
    const { observer, metrics } = setUp();
    for (const method of ['BREW', 'FROB'])
      observer.finished(recordOf(1), requestOf(method, {}, noRoute), 404, 0, 1_001);
    const text = await metrics.metrics();
    expect(text).toContain('status="404",method="OTHER",host="",path="",canary=""} 2');
    expect(text).not.toContain('BREW');
  });
});

describe('access log', () => {
  it('is one JSON object a request', () => {
    const { observer, lines } = setUp();
    observer.finished(recordOf(40), requestOf('GET', { 'user-agent': 'x"\n{' }), 200, 128, 1_040);
    expect(JSON.parse(lines[0]!)).toMatchObject({
      client: '192.0.2.7',
      method: 'GET',
      target: '/cart?a=1',
      status: 200,
      bytes: 128,
      seconds: 0.04,
      ingress: 'shop/web',
      backend: 'shop/cart:80',
      tries: [{ endpoint: '10.0.0.1:80', status: 200 }],
      agent: 'x"\n{',
    });
    expect(lines[0]).not.toContain('\n');
  });

  it('is written many lines at a time, and the rest at the end', async () => {
    const clock = new FakeClock();
    const written: string[] = [];
    {
      using buffer = new LineBuffer({ clock, write: (text) => written.push(text) });
      buffer.push('a');
      buffer.push('b');
      expect(written).toEqual([]);
      await clock.advance(200);
      expect(written).toEqual(['a\nb\n']);
      buffer.push('c');
    }
    expect(written).toEqual(['a\nb\n', 'c\n']);
  });
});

describe('metrics of the controller', () => {
  it('tell of connections, certificates, orphans and configurations', async () => {
    const metrics = new Registry();
    await using backend = await Backend.open();
    const { cert, key } = await selfSignedCertificate('web.test', ['web.test'], Date.now());
    const objects = [
      ...service('web', backend.endpoint),
      ingress({ tls: 'web' }),
      ingress({ host: 'none.test', service: 'none' }),
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { namespace: 'default', name: 'web' },
        stringData: { 'tls.crt': cert, 'tls.key': key },
      },
    ];
    await using rig = await Rig.open(objects, { deps: { metrics } });
    expect((await ask(rig.https, { sni: 'web.test' })).status).toBe(200);
    const prefix = 'nginx_ingress_controller_';
    expect(await sampleOf(metrics, `${prefix}success`)).toBeGreaterThan(0);
    expect(await sampleOf(metrics, `${prefix}nginx_process_connections_total{state="handled"}`)).toBe(1);
    expect(await sampleOf(metrics, `${prefix}orphan_ingress{`)).toBe(1);
    expect(await metrics.metrics()).toContain('ingress="none.test",type="no-service"} 1');
    const expires = await sampleOf(metrics, `${prefix}ssl_expire_time_seconds{host="web.test"`);
    expect(expires).toBe(Math.floor(Date.parse(new X509Certificate(cert).validTo) / 1000));
    expect(await sampleOf(metrics, `${prefix}ssl_certificate_info{host="web.test"`)).toBe(1);
    expect(await sampleOf(metrics, 'weft_ingress_hosts')).toBe(2);
  });
});
