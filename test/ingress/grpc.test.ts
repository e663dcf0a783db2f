import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { selfSignedCertificate } from '../../src/net/self-signed.ts';
import { ingress, service } from './support/objects.ts';
import { Rig } from './support/rig.ts';

/** @grpc/grpc-js on both sides, the ingress between them, over plain HTTP/2 and over TLS. */
const bytes = (value: Buffer): Buffer => value;
const method = (
  path: string,
  requestStream: boolean,
  responseStream: boolean,
): grpc.MethodDefinition<Buffer, Buffer> => ({
  path,
  requestStream,
  responseStream,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
});
const SERVICE = {
  unary: method('/test.Echo/Unary', false, false),
  fail: method('/test.Echo/Fail', false, false),
  slow: method('/test.Echo/Slow', false, false),
  serverStream: method('/test.Echo/ServerStream', false, true),
  clientStream: method('/test.Echo/ClientStream', true, false),
  bidi: method('/test.Echo/Bidi', true, true),
} satisfies grpc.ServiceDefinition;

const cancelled: string[] = [];
const HANDLERS: grpc.UntypedServiceImplementation = {
  unary(call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
    const head = new grpc.Metadata();
    head.set('x-seen', String(call.metadata.get('x-sent')[0] ?? ''));
    head.set('x-forwarded-for-seen', String(call.metadata.get('x-forwarded-for')[0] ?? ''));
    call.sendMetadata(head);
    const trailer = new grpc.Metadata();
    trailer.set('x-trailer', 'last');
    trailer.set('x-data-bin', Buffer.from([0, 255, 10]));
    callback(null, call.request, trailer);
  },
  fail(_call: unknown, callback: grpc.sendUnaryData<Buffer>) {
    const metadata = new grpc.Metadata();
    metadata.set('x-why', 'because');
    callback({ code: grpc.status.FAILED_PRECONDITION, details: 'not so: 100 % wrong', metadata });
  },
  slow(call: grpc.ServerUnaryCall<Buffer, Buffer>) {
    call.on('cancelled', () => cancelled.push('slow'));
  },
  serverStream(call: grpc.ServerWritableStream<Buffer, Buffer>) {
    const count = Number(call.request.toString());
    for (let n = 0; n < count; n++) call.write(Buffer.from(`message ${n}`));
    call.end();
  },
  clientStream(call: grpc.ServerReadableStream<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
    let total = 0;
    call.on('data', (message: Buffer) => (total += message.length));
    call.on('end', () => callback(null, Buffer.from(String(total))));
  },
  bidi(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
    call.on('data', (message: Buffer) => call.write(message));
    call.on('end', () => call.end());
  },
};

let server: grpc.Server;
let rig: Rig;
let folder: string;
const clients: grpc.Client[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'weft-grpc-'));
  server = new grpc.Server({ 'grpc.max_receive_message_length': 32 << 20 });
  server.addService(SERVICE, HANDLERS);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  const pair = await selfSignedCertificate('grpc.test', ['grpc.test'], Date.now());
  writeFileSync(join(folder, 'cert.pem'), pair.cert);
  rig = await Rig.open([
    ...service('web', `127.0.0.1:${port}`),
    ...service('empty'),
    ingress({
      host: 'grpc.test',
      tls: 'grpc',
      annotations: { 'backend-protocol': 'GRPC', 'ssl-redirect': 'false', 'proxy-body-size': '0' },
    }),
    ingress({ host: 'none.test', service: 'empty', annotations: { 'backend-protocol': 'GRPC' } }),
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { namespace: 'default', name: 'grpc' },
      stringData: { 'tls.crt': pair.cert, 'tls.key': pair.key },
    },
  ]);
  const name = (host: string): grpc.ClientOptions => ({
    'grpc.default_authority': host,
    'grpc.ssl_target_name_override': host,
    'grpc.max_receive_message_length': 32 << 20,
  });
  clients.push(
    new grpc.Client(`127.0.0.1:${rig.http}`, grpc.credentials.createInsecure(), name('grpc.test')),
    new grpc.Client(
      `127.0.0.1:${rig.https}`,
      grpc.credentials.createSsl(Buffer.from(pair.cert)),
      name('grpc.test'),
    ),
    new grpc.Client(`127.0.0.1:${rig.http}`, grpc.credentials.createInsecure(), name('none.test')),
  );
});

afterAll(async () => {
  for (const client of clients) client.close();
  await rig[Symbol.asyncDispose]();
  server.forceShutdown();
  rmSync(folder, { recursive: true, force: true });
});

interface Unary {
  readonly error: grpc.ServiceError | null;
  readonly value: Buffer | undefined;
  readonly head: grpc.Metadata | undefined;
  readonly status: grpc.StatusObject | undefined;
}

function unary(
  client: grpc.Client,
  { path }: grpc.MethodDefinition<Buffer, Buffer>,
  message: Buffer,
  options: { metadata?: grpc.Metadata; deadlineMs?: number } = {},
): Promise<Unary> {
  return new Promise((resolve) => {
    let head: grpc.Metadata | undefined;
    let answer: { error: grpc.ServiceError | null; value: Buffer | undefined } | undefined;
    let status: grpc.StatusObject | undefined;
    const finish = (): void => {
      if (answer && status) resolve({ ...answer, head, status });
    };
    const callOptions = { deadline: Date.now() + (options.deadlineMs ?? 20_000) };
    const call = client.makeUnaryRequest(
      path,
      bytes,
      bytes,
      message,
      options.metadata ?? new grpc.Metadata(),
      callOptions,
      (error, value) => {
        answer = { error, value };
        finish();
      },
    );
    call.on('metadata', (metadata: grpc.Metadata) => (head = metadata));
    call.on('status', (ended: grpc.StatusObject) => {
      status = ended;
      finish();
    });
  });
}

describe.each([
  ['plain HTTP/2', 0],
  ['TLS', 1],
])('gRPC through the ingress over %s', (_, index) => {
  const client = (): grpc.Client => clients[index]!;

  it('carries unary calls with metadata and trailers', async () => {
    const metadata = new grpc.Metadata();
    metadata.set('x-sent', 'hello');
    const { error, value, head, status } = await unary(client(), SERVICE.unary, Buffer.from('ping'), {
      metadata,
    });
    expect(error).toBeNull();
    expect(value?.toString()).toBe('ping');
    expect(head?.get('x-seen')).toEqual(['hello']);
    expect(head?.get('x-forwarded-for-seen')).toEqual(['127.0.0.1']);
    expect(status?.metadata.get('x-trailer')).toEqual(['last']);
    expect(status?.metadata.get('x-data-bin')).toEqual([Buffer.from([0, 255, 10])]);
  });

  it('carries messages of megabytes', async () => {
    const big = Buffer.alloc(3 << 20, 'x');
    const { value } = await unary(client(), SERVICE.unary, big);
    expect(value?.equals(big)).toBe(true);
  });

  it('carries a status other than OK, with its details', async () => {
    const { error } = await unary(client(), SERVICE.fail, Buffer.alloc(0));
    expect(error).toMatchObject({ code: grpc.status.FAILED_PRECONDITION, details: 'not so: 100 % wrong' });
    expect(error?.metadata.get('x-why')).toEqual(['because']);
  });

  it('ends a call at its deadline, and the server hears of it', async () => {
    const before = cancelled.length;
    const { error } = await unary(client(), SERVICE.slow, Buffer.alloc(0), { deadlineMs: 300 });
    expect(error?.code).toBe(grpc.status.DEADLINE_EXCEEDED);
    await expect.poll(() => cancelled.length, { timeout: 20_000 }).toBe(before + 1);
  });

  it('streams from the server', async () => {
    const call = client().makeServerStreamRequest(
      SERVICE.serverStream.path,
      bytes,
      bytes,
      Buffer.from('500'),
    );
    const got: string[] = [];
    for await (const message of call as AsyncIterable<Buffer>) got.push(message.toString());
    expect(got).toHaveLength(500);
    expect(got[499]).toBe('message 499');
  });

  it('streams from the client', async () => {
    const total = await new Promise<string>((resolve, reject) => {
      const call = client().makeClientStreamRequest(
        SERVICE.clientStream.path,
        bytes,
        bytes,
        (error, value) => (error ? reject(error) : resolve(String(value))),
      );
      for (let n = 0; n < 200; n++) call.write(Buffer.alloc(1_000));
      call.end();
    });
    expect(total).toBe('200000');
  });

  it('streams both ways at once', async () => {
    const call = client().makeBidiStreamRequest(SERVICE.bidi.path, bytes, bytes);
    const got: string[] = [];
    const ended = new Promise<void>((resolve, reject) => {
      call.on('error', reject);
      call.on('end', resolve);
    });
    // each message waits for the echo of the one before: nothing may be held back
    call.on('data', (message: Buffer) => {
      got.push(message.toString());
      if (got.length < 20) call.write(Buffer.from(`echo ${got.length}`));
      else call.end();
    });
    call.write(Buffer.from('echo 0'));
    await ended;
    expect(got.at(-1)).toBe('echo 19');
  });
});

it('says UNAVAILABLE where no endpoint is', async () => {
  const { error } = await unary(clients[2]!, SERVICE.unary, Buffer.alloc(0));
  expect(error?.code).toBe(grpc.status.UNAVAILABLE);
});
