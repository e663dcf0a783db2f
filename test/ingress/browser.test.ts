import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { selfSignedCertificate } from '../../src/net/self-signed.ts';
import { canMakeNamespaces } from '../support/own-network.ts';
import { ROOT } from '../support/source-files.ts';
import { waitFor } from '../support/wait-for.ts';
import { classYaml, Edge, ingressYaml, serviceYaml } from './support/edge.ts';

/** A real browser through the real program: TLS, HTTP/2, streaming, a cookie, WebSocket. */
const missing = canMakeNamespaces()
  ? ['chromium'].filter((tool) => spawnSync('which', [tool]).status !== 0).join(', ')
  : 'network namespaces need root';
const LONG_MS = 90_000;

/** Serves the page, echoes WebSocket messages, and prints what the page found out. */
const BACKEND = `
const http = require('node:http');
const { WebSocketServer } = require('${ROOT}node_modules/ws');
const page = \`<script>
(async () => {
  const found = { page: performance.getEntriesByType('navigation')[0].nextHopProtocol };
  try {
    const answer = await fetch('/data');
    found.bytes = (await answer.arrayBuffer()).byteLength;
    const parts = [];
    const reader = (await fetch('/stream')).body.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) parts.push(part.value.length);
    found.streamed = parts.reduce((a, b) => a + b, 0);
    found.cookie = document.cookie;
    found.echo = await new Promise((resolve, reject) => {
      const socket = new WebSocket('wss://' + location.host + '/socket');
      socket.onopen = () => socket.send('x'.repeat(70000));
      socket.onmessage = ({ data }) => { resolve(data.length); socket.close(); };
      socket.onerror = () => reject(new Error('websocket failed'));
    });
  } catch (error) { found.error = String(error); }
  await fetch('/report', { method: 'POST', body: JSON.stringify(found) });
})();
</script>\`;
const server = http.createServer((request, response) => {
  if (request.url === '/report') {
    let body = '';
    request.on('data', (bytes) => (body += bytes));
    request.on('end', () => { console.log('report ' + body); response.end(); });
  } else if (request.url === '/data') response.end(Buffer.alloc(300000));
  else if (request.url === '/stream') {
    let left = 5;
    const timer = setInterval(() => { response.write('x'.repeat(100)); if (--left === 0) { clearInterval(timer); response.end(); } }, 20);
  } else response.setHeader('content-type', 'text/html').setHeader('set-cookie', 'seen=1; path=/').end(page);
});
new WebSocketServer({ server }).on('connection', (socket) => socket.on('message', (data) => socket.send(data.toString())));
server.listen(8001, '127.0.0.1', () => console.log('listening'));
`;

describe.runIf(missing === '')('a browser', () => {
  let edge: Edge;
  let printed = '';

  beforeAll(async () => {
    edge = new Edge('ing-browser');
    const child = edge.network.start(process.execPath, ['-e', BACKEND]);
    child.stdout?.on('data', (chunk: Buffer) => (printed += chunk.toString()));
    await waitFor('the backend', () => printed.includes('listening'), LONG_MS);
    const pair = await selfSignedCertificate('shop.test', ['shop.test'], Date.now());
    const secret = JSON.stringify({
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'kubernetes.io/tls',
      metadata: { name: 'shop', namespace: 'default' },
      stringData: { 'tls.crt': pair.cert, 'tls.key': pair.key },
    });
    const web = serviceYaml('web', [['127.0.0.1', 8001]]);
    edge.file(
      'objects.yaml',
      `${classYaml}${web}${ingressYaml('shop', 'shop.test', 'web', { tls: 'shop' })}---\n${secret}\n`,
    );
    await edge.weft(['ingress', '--from', `${edge.folder}/objects.yaml`]);
  }, LONG_MS);
  afterAll(() => edge?.[Symbol.asyncDispose]());

  it('is redirected to TLS, speaks HTTP/2, streams and keeps a WebSocket', async () => {
    const flags = '--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run';
    edge.run(
      'chromium',
      [
        ...flags.split(' '),
        '--ignore-certificate-errors',
        `--user-data-dir=${edge.folder}/profile`,
        '--host-resolver-rules=MAP * 127.0.0.1',
        '--remote-debugging-port=0',
        'http://shop.test/',
      ],
      { HOME: edge.folder },
    );
    await waitFor('the report of the page', () => printed.includes('report '), LONG_MS);
    expect(JSON.parse(/report (.*)/.exec(printed)?.[1] ?? '{}')).toEqual({
      page: 'h2',
      bytes: 300_000,
      streamed: 500,
      cookie: 'seen=1',
      echo: 70_000,
    });
  });
});

it('needs a browser', (ctx) => {
  if (missing !== '') ctx.skip(`missing: ${missing}`);
});
