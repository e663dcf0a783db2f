import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { proxyLine, readStreamRules } from '../../ingress/streams/stream-rules.ts';
import { readProxyHeader } from '../../ingress/listen/proxy-protocol.ts';
import { selfSignedCertificate } from '../../src/net/self-signed.ts';
import { canMakeNamespaces } from '../support/own-network.ts';
import { waitFor } from '../support/wait-for.ts';
import { classYaml, Edge, ingressYaml, serviceYaml } from './support/edge.ts';

const LONG_MS = 30_000;
const able = canMakeNamespaces();

describe('rules of exposed ports', () => {
  it.each<[string, string, Record<string, unknown> | string]>([
    ['9000', 'default/web:8080', { port: 9000, decodeProxy: false, encodeProxy: false }],
    ['9000', 'default/web:http', { target: { key: 'default/web:http' } }],
    ['9000', 'a/b:1:PROXY', { decodeProxy: true, encodeProxy: false }],
    ['9000', 'a/b:1::PROXY', { decodeProxy: false, encodeProxy: true }],
    ['9000', 'a/b:1:PROXY:PROXY', { decodeProxy: true, encodeProxy: true }],
    ['0', 'a/b:1', '0: is no port'],
    ['70000', 'a/b:1', '70000: is no port'],
    ['9000', 'web:8080', '9000: "web:8080" is not namespace/service:port'],
    ['9000', 'a/b:1:SOCKS', '9000: "a/b:1:SOCKS" is not namespace/service:port'],
    ['443', 'a/b:1', '443: the ingress itself listens on this port'],
  ])('%s: %s', (key, value, expected) => {
    const { rules, problems } = readStreamRules({ [key]: value }, new Set([443]));
    if (typeof expected === 'string')
      expect({ rules, problems }).toEqual({ rules: [], problems: [expected] });
    else expect(rules).toMatchObject([expected]);
  });

  it('never fails, whatever is written', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.string()), (data) => {
        const { rules, problems } = readStreamRules(data, new Set());
        expect(rules.length + problems.length).toBe(Object.keys(data).length);
      }),
    );
  });

  it('writes PROXY lines that are read again', () => {
    const place = fc.record({
      address: fc.oneof(fc.ipV4(), fc.constant('2001:db8::7')),
      port: fc.nat(65_535),
    });
    fc.assert(
      fc.property(place, place, (client, own) => {
        const read = readProxyHeader(Buffer.from(proxyLine(client, own)));
        const known = client.address.includes(':') === own.address.includes(':');
        expect(read).toMatchObject({ source: known ? client : undefined });
      }),
    );
  });
});

/** Echo servers: TCP and UDP answer `NAME:` and what they got; TLS shows a certificate of its own. */
const ECHO = `
const net = require('node:net'), dgram = require('node:dgram'), tls = require('node:tls');
const tcp = (name, port) => net.createServer({ allowHalfOpen: true }, (socket) => {
  let text = '';
  socket.on('data', (bytes) => (text += bytes));
  socket.on('end', () => socket.end(name + ':' + text));
  socket.on('error', () => {});
}).listen(port, '127.0.0.1');
tcp('one', 8001); tcp('two', 8002);
const udp = dgram.createSocket('udp4');
udp.on('message', (bytes, from) => udp.send('udp:' + bytes, from.port, from.address));
udp.bind(8003, '127.0.0.1');
tls.createServer({ cert: process.env.CERT, key: process.env.KEY }, (socket) => {
  socket.on('error', () => {});
  socket.once('data', () => socket.end('HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\nConnection: close\\r\\n\\r\\ninner'));
}).listen(8004, '127.0.0.1', () => console.log('listening'));
`;

const streamsYaml = (tcp: Readonly<Record<string, string>>): string =>
  [
    { name: 'tcp', data: tcp },
    { name: 'udp', data: { 9053: 'default/dns:53' } },
  ]
    .map(
      ({ name, data }) =>
        `---\n${JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' }, data })}\n`,
    )
    .join('');

describe.runIf(able)('exposed ports', () => {
  let edge: Edge;
  const say = (text: string, port: number, kind = 'TCP'): string => {
    const wait = kind === 'UDP' ? '-T2' : '-t10';
    return edge.network.run('socat', [wait, '-', `${kind}:127.0.0.1:${port}`], { input: text }).stdout;
  };

  beforeAll(async () => {
    edge = new Edge('ing-streams');
    const { cert, key } = await selfSignedCertificate('inner.test', ['inner.test'], Date.now());
    const child = edge.network.start(process.execPath, ['-e', ECHO], {
      ...process.env,
      CERT: cert,
      KEY: key,
    });
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    edge.file(
      'services.yaml',
      classYaml +
        serviceYaml('one', [['127.0.0.1', 8001]]) +
        serviceYaml('two', [['127.0.0.1', 8002]]) +
        // the first endpoint refuses: connections go to the other
        serviceYaml('half', [
          ['127.0.0.1', 1],
          ['127.0.0.1', 8001],
        ]) +
        serviceYaml('dns', [['127.0.0.1', 8003]], { port: 53 }).replaceAll('TCP', 'UDP') +
        serviceYaml('secure', [['127.0.0.1', 8004]]) +
        ingressYaml('inner', 'inner.test', 'secure', { annotations: { 'ssl-passthrough': 'true' } }) +
        ingressYaml('outer', 'outer.test', 'none'),
    );
    edge.file(
      'streams.yaml',
      streamsYaml({
        9000: 'default/one:80',
        9001: 'default/one:80::PROXY',
        9002: 'default/half:http',
        9003: 'default/none:80',
        9004: 'default/one:80:PROXY',
      }),
    );
    await edge.weft([
      'ingress',
      '--from',
      edge.folder,
      '--tcp-services-configmap',
      'default/tcp',
      '--udp-services-configmap',
      'default/udp',
    ]);
  });
  afterAll(() => edge?.[Symbol.asyncDispose]());

  it('carry TCP both ways, half-closed too', () => expect(say('hello', 9000)).toBe('one:hello'));

  it('tell the endpoint the client by a PROXY header', () => {
    expect(say('hello', 9001)).toMatch(/^one:PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ 9001\r\nhello$/);
  });

  it('take the PROXY header of a proxy in front away', () => {
    expect(say('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nhello', 9004)).toBe('one:hello');
    expect(say('hello without', 9004)).toBe('');
  });

  it('go to another endpoint when one refuses', () => {
    for (let n = 0; n < 4; n++) expect(say(`${n}`, 9002)).toBe(`one:${n}`);
  });

  it('are reset where no endpoint is', () => expect(say('hello', 9003)).toBe(''));

  it('carry UDP both ways', () => expect(say('query', 9053, 'UDP')).toBe('udp:query'));

  it('follow the ConfigMap', async () => {
    edge.file('streams.yaml', streamsYaml({ 9000: 'default/two:80', 9100: 'default/one:80' }));
    await waitFor('the new port', () => say('x', 9100) === 'one:x', LONG_MS);
    expect(say('hello', 9000)).toBe('two:hello');
    expect(say('hello', 9001)).toBe('');
  });

  it('pass TLS through by server name, and end it for other names', () => {
    const shown = (name: string): { stdout: string; stderr: string } =>
      edge.network.run('curl', [
        '-vsk',
        '--max-time',
        '10',
        '--resolve',
        `${name}:443:127.0.0.1`,
        `https://${name}/`,
      ]);
    const inner = shown('inner.test');
    expect(inner.stderr).toMatch(/subject: CN=inner\.test/);
    expect(inner.stdout).toBe('inner');
    expect(shown('outer.test').stderr).toMatch(/subject: CN=weft default certificate/);
  });
});

it('needs network namespaces', (ctx) => {
  if (!able) ctx.skip('network namespaces need root');
});
