import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApiClient } from '../../src/api/client/api-client.ts';
import { resources } from '../../src/api/client/resources.ts';
import type { Pod } from '../../src/api/kinds/pod.ts';
import type { ExecSession, LogOptions, KubeletDoor } from '../../src/api/kinds/pod-streams.ts';
import { openPki, type Pki } from '../../src/api/server/identity/pki.ts';
import { ApiServer } from '../../src/api/server/server.ts';
import { type KubeletEndpoint, remoteKubelet } from '../../src/api/streams/remote-kubelet.ts';
import { systemClock } from '../../src/base/clock.ts';
import { createLogger } from '../../src/base/log.ts';
import { Registry } from '../../src/base/metrics.ts';
import { Kubelet } from '../../src/kubelet/kubelet.ts';
import { KubeletServer } from '../../src/kubelet/server/kubelet-server.ts';
import { exec } from '../../src/net/exec.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { waitFor } from '../support/wait-for.ts';
import { shell } from './support/pod-bench.ts';

const stack = new AsyncDisposableStack();
const MIB = 1024 * 1024;
const ref = { namespace: 'default', pod: 'talker', container: 'main' };
const LOGS: LogOptions = {
  follow: false,
  previous: false,
  timestamps: false,
  tailLines: undefined,
  limitBytes: undefined,
  sinceTimeMs: undefined,
};

let pki: Pki;
let served: KubeletServer;
let endpoint: KubeletEndpoint;
let near: KubeletDoor;
let far: KubeletDoor;
let podIP: string;

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-pod-streams-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const deps = { clock: systemClock, log: createLogger(() => {}), metrics: new Registry() };
  const store = stack.use(openMemoryStore(deps));
  const server = stack.use(
    await ApiServer.open(
      { ...deps, store },
      { dataDir: undefined, serviceCidrs: ['127.96.0.0/16'], nodePortRange: { from: 30000, to: 32767 } },
    ),
  );
  const client = createApiClient(server.exchange({ username: 'test', groups: ['system:masters'] }));
  pki = await openPki(systemClock, { dir: undefined, dnsNames: [], ipAddresses: [] });
  served = stack.use(await KubeletServer.open(deps, { host: '127.0.0.1', port: 0, clientCaPem: pki.ca.pem }));
  endpoint = {
    nodeName: 'far',
    host: '127.0.0.1',
    port: served.port,
    trustedPem: served.certificatePem,
    pinned: true,
    certPem: pki.kubeletClient.certificatePem,
    keyPem: pki.kubeletClient.keyPem,
  };
  const kubelet = stack.use(
    await Kubelet.open(
      { ...deps, client, exec, random: () => 0.5 },
      {
        nodeName: 'far',
        dataDir: join(folder, 'kubelet'),
        hostIP: '127.0.0.1',
        podCidr: '127.243.0.0/16',
        clusterDns: '127.96.0.10',
        clusterDomain: 'cluster.local',
        hostEnv: { PATH: '/usr/local/bin:/usr/bin:/bin' },
        version: '0.1.0',
      },
    ),
  );
  stack.defer(() => kubelet.stopPods({ graceSecondsMax: 0 }));
  near = kubelet.door;
  await client.create<Pod>(resources.pods, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'talker', namespace: 'default' },
    spec: { nodeName: 'far', containers: [shell('echo one; echo two; exec sleep 600')] },
  });
  podIP = await waitFor('the pod to run', async () => {
    const { status } = await client.get<Pod>(resources.pods, 'talker', 'default');
    return status?.phase === 'Running' && status.podIP;
  });
  await expect(text(remoteKubelet(endpoint).logs(ref, LOGS, AbortSignal.timeout(20_000)))).rejects.toThrow(
    'the kubelet is starting',
  );
  served.attach(near);
  far = remoteKubelet(endpoint);
});
afterAll(() => stack.disposeAsync());

async function text(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** A TCP server at the pod's address that sends back what it got once the client has ended. */
async function echoServer(): Promise<{ port: number } & Disposable> {
  const server = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, podIP, resolve);
  await promise;
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return { port, [Symbol.dispose]: () => server.close() };
}

describe.each([
  ['in this process', (): KubeletDoor => near],
  ['over HTTPS', (): KubeletDoor => far],
])('pod streams %s', (_where, streams) => {
  const run = (command: string[], options = { stdin: false, tty: false }): Promise<ExecSession> =>
    streams().exec(ref, { command, ...options });

  it('reads a log, or its end', async () => {
    const signal = AbortSignal.timeout(20_000);
    await waitFor('both lines', async () => (await text(streams().logs(ref, LOGS, signal))) === 'one\ntwo\n');
    expect(await text(streams().logs(ref, { ...LOGS, tailLines: 1 }, signal))).toBe('two\n');
    expect(await text(streams().logs(ref, { ...LOGS, limitBytes: 2 }, signal))).toBe('on');
  });

  it('follows a log until told to stop', async () => {
    const stop = new AbortController();
    let seen = '';
    for await (const chunk of streams().logs(ref, { ...LOGS, follow: true }, stop.signal)) {
      seen += Buffer.from(chunk).toString();
      if (seen.endsWith('two\n')) stop.abort();
    }
    expect(seen).toBe('one\ntwo\n');
  });

  it.each([
    [{ ...ref, pod: 'stranger' }, 'POD_NOT_FOUND'],
    [{ ...ref, container: 'sidecar' }, expect.stringMatching(/^CONTAINER_NOT_/)],
  ])('says what it does not have: %j', async (absent, code) => {
    const signal = AbortSignal.timeout(20_000);
    await expect(text(streams().logs(absent, LOGS, signal))).rejects.toMatchObject({ code });
    await expect(
      streams().exec(absent, { command: ['true'], stdin: false, tty: false }),
    ).rejects.toMatchObject({
      code,
    });
  });

  it('runs a command and tells its outputs and its end apart', async () => {
    const session = await run(['sh', '-c', 'echo out; echo err >&2; exit 3']);
    const [stdout, stderr, end] = await Promise.all([
      text(session.stdout),
      text(session.stderr!),
      session.exit,
    ]);
    expect([stdout, stderr, end]).toEqual(['out\n', 'err\n', { exitCode: 3 }]);
  });

  it('carries input to its end, more than any buffer holds', async () => {
    const session = await run(['sh', '-c', 'cat | wc -c'], { stdin: true, tty: false });
    for (let sent = 0; sent < 8; sent++) session.stdin!.write(Buffer.alloc(MIB, 'x'));
    session.stdin!.end();
    expect((await text(session.stdout)).trim()).toBe(String(8 * MIB));
  });

  it('waits for a reader that is slow', async () => {
    const session = await run(['sh', '-c', `head -c ${16 * MIB} /dev/zero`]);
    let total = 0;
    for await (const chunk of session.stdout) {
      total += (chunk as Uint8Array).length;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(total).toBe(16 * MIB);
  });

  it('gives a terminal of the size that is wished', async () => {
    const session = await run(['sh', '-c', 'read line; stty size'], { stdin: true, tty: true });
    expect(session.stderr).toBeUndefined();
    session.resize(132, 43);
    session.stdin!.write('go\n');
    expect(await text(session.stdout)).toContain('43 132');
  });

  it('ends the command when the session is killed', async () => {
    const session = await run(['sh', '-c', 'echo $$; exec sleep 600']);
    const pid = await new Promise<string>((resolve) =>
      session.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString().trim())),
    );
    session.kill();
    await waitFor('the process to end', () => {
      try {
        process.kill(Number(pid), 0);
        return false;
      } catch {
        return true;
      }
    });
  });

  it('attaches to what is printed from now on', async () => {
    const session = await streams().attach(ref, { stdin: false, tty: false });
    session.kill();
    await session.exit.catch(() => undefined);
  });

  it('connects to a port, with each direction ending by itself', async () => {
    using echo = await echoServer();
    const { readable, writable } = await streams().dial(ref, echo.port);
    const message = Buffer.alloc(3 * MIB, 'y');
    writable.end(message);
    expect((await text(readable)).length).toBe(message.length);
  });

  it('says that nobody listens on a port', async () => {
    await expect(streams().dial(ref, 1)).rejects.toThrow(/ECONNREFUSED/);
  });
});

describe('a kubelet’s door', () => {
  const ask = async (path: string, identity: object): Promise<number | string> =>
    await new Promise((resolve) => {
      const asked = request({
        host: '127.0.0.1',
        port: served.port,
        path,
        agent: false,
        rejectUnauthorized: false,
        ...identity,
      });
      asked.on('response', (response) => resolve(response.resume().statusCode ?? 0));
      asked.on('error', (error) => resolve((error as NodeJS.ErrnoException).code ?? error.message));
      asked.end();
    });
  const server = (): object => ({ cert: endpoint.certPem, key: endpoint.keyPem });

  it('is closed to those without a certificate of the cluster', async () => {
    expect(await ask('/containerLogs/default/talker/main', {})).not.toBe(200);
    expect(typeof (await ask('/containerLogs/default/talker/main', {}))).toBe('string');
  });

  it('is closed to other clients of the cluster', async () => {
    const { certificatePem: cert, keyPem: key } = pki.server;
    expect(await ask('/containerLogs/default/talker/main', { cert, key })).not.toBe(200);
  });

  it.each([
    '/',
    '/containerLogs/default/talker',
    '/containerLogs/default/%ff/main',
    '/containerLogs/default/talker/main/more',
    '/exec/default/talker/main',
    '/portForward/default/talker?port=0',
    '/portForward/default/talker?port=65536',
    '/run/default/talker/main?cmd=id',
    '/nothing',
  ])('has no %s', async (path) => {
    expect(await ask(path, server())).toBe(404);
  });

  it.each(['/healthz', '/pods/', '/runningpods', '/metrics', '/metrics/resource', '/stats/summary'])(
    'has the page %s',
    async (path) => {
      expect(await ask(path, server())).toBe(200);
    },
  );

  it('has pages about what runs', async () => {
    const pods = JSON.parse((await far.page('/pods'))?.text ?? '') as { kind: string; items: Pod[] };
    expect(pods.kind).toBe('PodList');
    expect(pods.items).toMatchObject([{ metadata: { name: 'talker' }, status: { phase: 'Running' } }]);
    expect((await far.page('/metrics/resource'))?.text).toMatch(
      /^container_cpu_usage_seconds_total\{container="main",namespace="default",pod="talker"\} [\d.]+ \d{13}$/m,
    );
    expect(await far.page('/nothing')).toBeUndefined();
  });

  it('wants an upgrade for what is a stream', async () => {
    expect(await ask('/exec/default/talker/main?command=id', server())).toBe(400);
  });

  it('is not believed with another certificate than the Node object tells', async () => {
    const other = remoteKubelet({ ...endpoint, trustedPem: pki.ca.pem });
    await expect(text(other.logs(ref, LOGS, AbortSignal.timeout(20_000)))).rejects.toMatchObject({
      code: 'KUBELET_UNREACHABLE',
    });
    await expect(other.exec(ref, { command: ['id'], stdin: false, tty: false })).rejects.toMatchObject({
      code: 'KUBELET_UNREACHABLE',
    });
  });

  it('outlives garbage in place of TLS', async () => {
    const socket = connect(served.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.end('GET / HTTP/1.1\r\n\r\n');
    await new Promise((resolve) => socket.once('close', resolve));
    expect(await ask('/containerLogs/default/talker/main', server())).toBe(200);
  });
});
