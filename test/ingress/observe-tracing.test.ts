import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatTraceParent, parseTraceParent } from '../../ingress/observe/tracing/trace-context.ts';
import { tracingFrom } from '../../ingress/observe/tracing/tracing-settings.ts';
import type { TracingSettings } from '../../ingress/settings.ts';
import { waitFor } from '../support/wait-for.ts';
import { Backend } from './support/backend.ts';
import { ask } from './support/client.ts';
import { ingress, service } from './support/objects.ts';
import { Rig } from './support/rig.ts';

const hex = (digits: number): fc.Arbitrary<string> =>
  fc.stringMatching(new RegExp(`^[0-9a-f]{${digits}}$`)).filter((text) => !/^0+$/.test(text));

describe('traceparent', () => {
  it('is read as it is written', () => {
    fc.assert(
      fc.property(hex(32), hex(16), fc.boolean(), (traceId, spanId, sampled) => {
        const parent = { traceId, spanId, sampled };
        expect(parseTraceParent(formatTraceParent(parent))).toEqual(parent);
      }),
    );
  });

  it.each([
    ['nothing', undefined],
    ['another version with more fields', `cc-${'a'.repeat(32)}-${'b'.repeat(16)}-01-more`],
  ])('takes %s as the standard says', (_, text) => {
    expect(parseTraceParent(text) === undefined).toBe(text === undefined);
  });

  it.each([
    `00-${'0'.repeat(32)}-${'b'.repeat(16)}-01`,
    `00-${'a'.repeat(32)}-${'0'.repeat(16)}-01`,
    `00-${'A'.repeat(32)}-${'b'.repeat(16)}-01`,
    `ff-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
    `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01-more`,
    `00-${'a'.repeat(31)}-${'b'.repeat(16)}-01`,
    'rubbish',
  ])('starts anew on %s', (text) => expect(parseTraceParent(text)).toBeUndefined());
});

describe('settings of tracing', () => {
  it.each<[Record<string, string>, unknown]>([
    [{}, undefined],
    [{ 'enable-opentelemetry': 'true' }, 'otlp-collector-host: must name the collector'],
    [
      { 'enable-opentelemetry': 'true', 'otlp-collector-host': 'otel' },
      { port: 4317, protocol: 'grpc', ratio: 1 },
    ],
    [
      { 'enable-opentelemetry': 'true', 'otlp-collector-host': 'otel', 'otlp-collector-port': '4318' },
      { protocol: 'http', parentBased: true },
    ],
    [
      {
        'enable-opentelemetry': 'true',
        'otlp-collector-host': 'otel',
        'otel-sampler': 'TraceIdRatioBased',
        'otel-sampler-ratio': '2',
      },
      'otel-sampler: must be AlwaysOn, AlwaysOff or TraceIdRatioBased with a ratio',
    ],
  ])('%j', (data, expected) => {
    if (typeof expected === 'object') expect(tracingFrom(data)).toMatchObject(expected as object);
    else expect(tracingFrom(data)).toBe(expected);
  });
});

const TRACE = 'c0ffee00c0ffee00c0ffee00c0ffee00';

async function rigWith(tracing: TracingSettings, endpoints: readonly string[]): Promise<Rig> {
  return await Rig.open([...service('web', ...endpoints), ingress()], {
    settings: { tracing },
  });
}

describe('spans', () => {
  it('go to a collector over HTTP: one of ours, one for each try', async () => {
    const bodies: string[] = [];
    await using collector = await Backend.open((received, response) => {
      bodies.push(received.body);
      response.end('{}');
    });
    await using backend = await Backend.open();
    const [host, port] = collector.endpoint.split(':') as [string, string];
    // the first endpoint refuses: there is a second try
    await using rig = await rigWith(
      { host, port: Number(port), protocol: 'http', serviceName: 'edge', ratio: 1, parentBased: true },
      ['127.0.0.1:1', backend.endpoint],
    );
    const headers = { traceparent: `00-${TRACE}-00f067aa0ba902b7-01`, tracestate: 'a=b' };
    for (let n = 0; n < 2; n++) expect((await ask(rig.http, { headers })).status).toBe(200);
    const [, traceId, spanId] = String(backend.last.headers['traceparent']).split('-');
    expect(traceId).toBe(TRACE);
    expect(backend.last.headers['tracestate']).toBe('a=b');
    const spans = await waitFor(
      'the spans of both requests',
      () => {
        const all = bodies.flatMap((body) => spansIn(body));
        return all.filter(({ kind }) => kind === 2).length === 2 && all;
      },
      20_000,
    );
    const servers = spans.filter(({ kind }) => kind === 2);
    expect(servers).toHaveLength(2);
    expect(servers[0]).toMatchObject({ traceId: TRACE, parentSpanId: '00f067aa0ba902b7', name: 'GET /' });
    const tries = spans.filter(({ kind }) => kind === 3);
    expect(tries.length).toBeGreaterThan(2);
    expect(servers.map((each) => each.spanId)).toEqual(
      expect.arrayContaining(tries.map((each) => each.parentSpanId)),
    );
    expect(tries.some((each) => each.spanId === spanId)).toBe(true);
    expect(tries.filter((each) => each.status?.code === 2)).toHaveLength(tries.length - 2);
  });

  it('go to a collector over gRPC', async () => {
    const calls: Buffer[] = [];
    const server = new Server();
    const same = (bytes: Buffer): Buffer => bytes;
    server.register(
      '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
      (call: { request: Buffer }, callback: (error: null, answer: Buffer) => void) => {
        calls.push(call.request);
        callback(null, Buffer.alloc(0));
      },
      same,
      same,
      'unary',
    );
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    await using backend = await Backend.open();
    await using rig = await rigWith(
      { host: '127.0.0.1', port, protocol: 'grpc', serviceName: 'edge', ratio: 1, parentBased: true },
      [backend.endpoint],
    );
    await ask(rig.http);
    const call = await waitFor('an export', () => calls[0]);
    const [, traceId] = String(backend.last.headers['traceparent']).split('-');
    expect(call.includes(Buffer.from(traceId!, 'hex'))).toBe(true);
    expect(call.includes('service.name')).toBe(true);
    server.forceShutdown();
  });

  it('are not recorded where the client says so, and the context goes on', async () => {
    const collector = http.createServer((_, response) => response.end());
    let asked = 0;
    collector.on('request', () => asked++);
    collector.listen(0, '127.0.0.1');
    await once(collector, 'listening');
    await using backend = await Backend.open();
    {
      const { port } = collector.address() as AddressInfo;
      await using rig = await rigWith(
        { host: '127.0.0.1', port, protocol: 'http', serviceName: 'edge', ratio: 1, parentBased: true },
        [backend.endpoint],
      );
      await ask(rig.http, { headers: { traceparent: `00-${TRACE}-00f067aa0ba902b7-00` } });
      expect(backend.last.headers['traceparent']).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
    }
    // closing the ingress sends what waits: nothing did
    expect(asked).toBe(0);
    collector.close();
  });

  it('pass by when tracing is off', async () => {
    await using backend = await Backend.open();
    await using rig = await Rig.open([...service('web', backend.endpoint), ingress()]);
    const traceparent = `00-${TRACE}-00f067aa0ba902b7-01`;
    await ask(rig.http, { headers: { traceparent } });
    expect(backend.last.headers['traceparent']).toBe(traceparent);
    await ask(rig.http);
    expect(backend.last.headers['traceparent']).toBeUndefined();
  });
});

interface SpanJson {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: number;
  readonly name: string;
  readonly status?: { readonly code: number };
}

function spansIn(body: string): SpanJson[] {
  const { resourceSpans } = JSON.parse(body) as {
    resourceSpans: { scopeSpans: { spans: SpanJson[] }[] }[];
  };
  return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
}
