import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { parseProxyName } from '../../../src/api/server/proxy/proxy-name.ts';
import { openTestServer, patchType, type TestServer } from './support.ts';

let server: TestServer;
let backend: Server;
let seen: IncomingMessage[];

beforeAll(async () => {
  seen = [];
  backend = createServer((request, response) => {
    seen.push(request);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (request.url === '/hang') return;
      response.setHeader('x-from', 'backend');
      response.statusCode = request.url?.startsWith('/teapot') ? 418 : 200;
      response.end(`${request.method} ${request.url} ${Buffer.concat(chunks).toString()}`);
    });
  }).listen(0, '127.0.0.1');
  new WebSocketServer({ server: backend }).on('connection', (socket) => {
    socket.on('message', (data: Buffer) => socket.send(`echo ${data.toString()}`));
  });
  await once(backend, 'listening');
  server = await openTestServer({ listen: { host: '127.0.0.1', port: 0 } });
  const { port } = backend.address() as AddressInfo;
  const make = (path: string, object: object) => server.call('POST', path, object);
  await make('/api/v1/namespaces/default/pods', {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: { name: 'web' },
    spec: { containers: [{ name: 'c', image: 'i', ports: [{ name: 'http', containerPort: port }] }] },
  });
  await server.call(
    'PATCH',
    '/api/v1/namespaces/default/pods/web/status',
    { status: { podIP: '127.0.0.1' } },
    patchType.merge,
  );
  await make('/api/v1/namespaces/default/services', {
    kind: 'Service',
    apiVersion: 'v1',
    metadata: { name: 'web' },
    spec: { ports: [{ name: 'http', port: 80 }] },
  });
  await make('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
    kind: 'EndpointSlice',
    apiVersion: 'discovery.k8s.io/v1',
    metadata: { name: 'web', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port, protocol: 'TCP' }],
    endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready: true } }],
  });
  await make('/api/v1/nodes', { kind: 'Node', apiVersion: 'v1', metadata: { name: 'n' } });
  await server.call(
    'PATCH',
    '/api/v1/nodes/n/status',
    {
      status: { addresses: [{ type: 'InternalIP', address: '127.0.0.1' }] },
    },
    patchType.merge,
  );
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  backend.closeAllConnections();
  backend.close();
});

const PODS = '/api/v1/namespaces/default/pods';
const SERVICES = '/api/v1/namespaces/default/services';

describe('proxy subresource', () => {
  const targets: readonly (readonly [path: string, answer: string])[] = [
    [`${PODS}/web/proxy/a/b?c=d&e`, 'GET /a/b?c=d&e '],
    [`${PODS}/web:http/proxy/`, 'GET / '],
    [`${PODS}/http:web:http/proxy/x%2Fy`, 'GET /x%2Fy '],
    [`${SERVICES}/web/proxy/metrics`, 'GET /metrics '],
    [`${SERVICES}/web:80/proxy/..%2f..`, 'GET /..%2f.. '],
    [`${SERVICES}/http:web:http/proxy/z`, 'GET /z '],
    ['/api/v1/nodes/n:PORT/proxy/pods', 'GET /pods '],
  ];
  it.each(targets)('GET %s', async (path, answer) => {
    const { port } = backend.address() as AddressInfo;
    const reply = await server.call('GET', path.replace('PORT', String(port)));
    expect([reply.status, reply.text, reply.headers['x-from']]).toEqual([200, answer, 'backend']);
  });

  it('carries methods, bodies and statuses, and not who asked', async () => {
    const reply = await server.call('POST', `${SERVICES}/web/proxy/teapot`, 'the body', {
      authorization: 'Bearer secret',
      cookie: 'a=b',
      'impersonate-user': 'x',
      'impersonate-group': 'system:masters',
      'x-own': 'kept',
    });
    expect([reply.status, reply.text]).toEqual([418, 'POST /teapot the body']);
    const { headers } = seen.at(-1)!;
    expect(headers).not.toHaveProperty('authorization');
    expect(headers).not.toHaveProperty('cookie');
    expect(headers).not.toHaveProperty('impersonate-user');
    expect(headers['x-own']).toBe('kept');
  });

  it('sends browsers to the folder', async () => {
    const reply = await server.call('GET', `${SERVICES}/web/proxy`);
    expect([reply.status, reply.headers['location']]).toEqual([301, `${SERVICES}/web/proxy/`]);
  });

  it('says what is missing', async () => {
    expect((await server.call('GET', '/api/v1/nodes/nope/proxy/')).status).toBe(404);
    expect((await server.call('GET', '/api/v1/nodes/n/proxy/')).status).toBe(503);
    expect((await server.call('GET', `${SERVICES}/nope/proxy/`)).status).toBe(404);
    expect((await server.call('GET', `${SERVICES}/web:81/proxy/`)).status).toBe(503);
    expect((await server.call('GET', `${PODS}/web:none/proxy/`)).status).toBe(400);
    expect((await server.call('GET', `${PODS}/a:b:c:d/proxy/`)).status).toBe(400);
    expect((await server.call('GET', `${PODS}/web:1/proxy/`)).body.message).toContain(
      'error trying to reach service',
    );
  });

  it('goes to no address that only this host has', async () => {
    await server.call(
      'PATCH',
      `${PODS}/web/status`,
      { status: { podIP: '169.254.169.254' } },
      patchType.merge,
    );
    const { status, body } = await server.call('GET', `${PODS}/web/proxy/latest/meta-data`);
    expect([status, body.message]).toEqual([400, 'address not allowed']);
    await server.call('PATCH', `${PODS}/web/status`, { status: { podIP: '127.0.0.1' } }, patchType.merge);
  });

  it('needs the right to it', async () => {
    const reply = await server.as('eve')('GET', `${SERVICES}/web/proxy/`);
    expect([reply.status, reply.body.message]).toEqual([
      403,
      'services "web" is forbidden: User "eve" cannot get resource "services/proxy" in API group "" in the namespace "default"',
    ]);
  });

  it('upgrades to WebSocket', async () => {
    const [, key] = /client-key-data: (\S+)/.exec(server.server.adminKubeconfig)!;
    const [, cert] = /client-certificate-data: (\S+)/.exec(server.server.adminKubeconfig)!;
    const decode = (text: string | undefined): Buffer => Buffer.from(text ?? '', 'base64');
    const socket = new WebSocket(`wss://${server.server.address}${SERVICES}/web/proxy/ws`, {
      key: decode(key),
      cert: decode(cert),
      ca: server.server.caPem,
    });
    await once(socket, 'open');
    socket.send('hello');
    const [data] = (await once(socket, 'message')) as [Buffer];
    expect(data.toString()).toBe('echo hello');
    socket.close();
    await once(socket, 'close');
  });

  it('reads names with schemes and ports', () => {
    expect(parseProxyName('https:web:443')).toEqual({ scheme: 'https', name: 'web', port: '443' });
    expect(parseProxyName('https:web')).toEqual({ scheme: 'https', name: 'web', port: '' });
    expect(parseProxyName('web:p')).toEqual({ scheme: 'http', name: 'web', port: 'p' });
    expect(parseProxyName(':web:')).toEqual({ scheme: 'http', name: 'web', port: '' });
    expect(parseProxyName('')).toBeUndefined();
  });
});
