import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KubeletDoor } from '../../../src/api/kinds/pod-streams.ts';
import { client } from '../../support/kubectl.ts';
import { waitFor } from '../../support/wait-for.ts';
import { openTestServer, patchType, type TestServer } from './support.ts';

/** The real kubectl 1.35 over TLS against the server: what people type, compared with what they expect to read. */
let test: TestServer;
let home: string;
let echo: Server;

beforeAll(async () => {
  test = await openTestServer({ listen: { host: '127.0.0.1', port: 0 } });
  await test.server.attachKubelet({ nodeName: 'here', door: hostStreams });
  home = await mkdtemp(join(tmpdir(), 'weft-session-'));
  await writeFile(join(home, 'config'), test.server.adminKubeconfig);
  echo = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  await once(echo, 'listening');
});
afterAll(async () => {
  echo.close();
  await test[Symbol.asyncDispose]();
  await rm(home, { recursive: true });
});

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

const start = (args: readonly string[]) =>
  spawn(client('kubectl'), [...args], {
    env: { PATH: '/usr/bin:/bin', HOME: home, KUBECONFIG: join(home, 'config') },
  });

async function kubectl(args: string, input = ''): Promise<Ran> {
  const child = start(args.split(' '));
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString('utf8')));
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

/** Runs commands of the host: the server's side of the streams is what is tested. */
const hostStreams: KubeletDoor = {
  page: () => Promise.resolve(undefined),
  async *logs() {
    yield Buffer.from('first\nsecond\n');
  },
  exec(_ref, { command: [program = '', ...args] }) {
    const child = spawn(program, args);
    const exit = once(child, 'close').then(([code]) => ({ exitCode: Number(code) }));
    const { stdin, stdout, stderr } = child;
    return Promise.resolve({ stdin, stdout, stderr, resize: () => {}, kill: () => void child.kill(), exit });
  },
  attach() {
    const stdout = new PassThrough();
    stdout.end('attached\n');
    const exit = Promise.resolve({ exitCode: 0 });
    return Promise.resolve({
      stdin: undefined,
      stdout,
      stderr: undefined,
      resize: () => {},
      kill: () => {},
      exit,
    });
  },
  async dial(_ref, port) {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return { readable: socket, writable: socket };
  },
};

const MANIFEST = (image: string): string => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: api}
spec:
  replicas: 2
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec: {containers: [{name: c, image: "${image}", ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: api}
spec: {selector: {app: api}, ports: [{port: 80}]}
`;

describe('kubectl 1.35', () => {
  const session: [command: string, input: string, code: number, expected: RegExp][] = [
    ['version', '', 0, /Server Version: v1\.35/],
    ['auth whoami', '', 0, /kubernetes-admin[^]*credential-id +\[X509SHA256=[0-9a-f]{64}\]/],
    ['create ns team', '', 0, /^namespace\/team created$/m],
    ['apply -f -', MANIFEST('i:1'), 0, /deployment.apps\/api created\nservice\/api created/],
    ['apply -f -', MANIFEST('i:1'), 0, /deployment.apps\/api unchanged\nservice\/api unchanged/],
    ['diff -f -', MANIFEST('i:2'), 1, /\+.*image: i:2/],
    ['apply -f -', MANIFEST('i:2'), 0, /deployment.apps\/api configured/],
    ['apply --server-side -f -', MANIFEST('i:2'), 0, /deployment.apps\/api serverside-applied/],
    ['scale deploy api --replicas=5', '', 0, /scaled/],
    ['apply --server-side -f -', MANIFEST('i:2'), 1, /Apply failed with 1 conflict.*\.spec\.replicas/],
    ['apply --server-side --force-conflicts -f -', MANIFEST('i:2'), 0, /serverside-applied/],
    ['get deploy', '', 0, /NAME +READY +UP-TO-DATE +AVAILABLE +AGE\napi +0\/2/],
    [
      'get svc api -o wide',
      '',
      0,
      /SELECTOR\napi +ClusterIP +10\.96\.\d+\.\d+ +<none> +80\/TCP +\S+ +app=api/,
    ],
    ['get all', '', 0, /deployment.apps\/api[\s\S]*/],
    ['describe svc api', '', 0, /Selector: +app=api[\s\S]*Port: +<unset> +80\/TCP/],
    ['explain svc.spec.type', '', 0, /FIELD: type <string>/],
    ['label deploy api tier=front', '', 0, /labeled/],
    ['annotate svc api a=b', '', 0, /annotated/],
    ['set image deploy/api c=i:3', '', 0, /image updated/],
    ['rollout pause deploy api', '', 0, /paused/],
    ['create secret generic s --from-literal=k=v', '', 0, /secret\/s created/],
    [
      'create -f -',
      'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndat: {}\n',
      1,
      /unknown field "dat"/,
    ],
    ['run p --image=i', '', 0, /pod\/p created/],
    ['get pods -l run=p -o name', '', 0, /^pod\/p$/m],
    ['get nothing', '', 1, /doesn't have a resource type "nothing"/],
    ['get pod nope', '', 1, /pods "nope" not found/],
    ['auth can-i list pods --as bob', '', 1, /^no$/m],
    ['delete deploy,svc -l none=such', '', 0, /No resources found/],
    ['delete deploy api', '', 0, /deployment.apps "api" deleted/],
    ['delete svc api', '', 0, /service "api" deleted/],
  ];
  it('answers a whole session', async () => {
    for (const [command, input, code, expected] of session) {
      const ran = await kubectl(command, input);
      expect(`${ran.out}${ran.err}`, command).toMatch(expected);
      expect(ran.code, command).toBe(code);
    }
  });

  it('watches', async () => {
    const list = start(['get', 'cm', '-w', '-n', 'team', '-o', 'name']);
    let out = '';
    list.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
    await waitFor('the present config maps', () => out.includes('kube-root-ca.crt'));
    await kubectl('create cm seen -n team');
    await waitFor('the new config map', () => out.includes('configmap/seen'));
    list.kill();
    await once(list, 'close');
  });

  it('reads logs, runs commands, copies and forwards ports', async () => {
    const state = { running: { startedAt: '2026-01-01T00:00:00Z' } };
    const containerStatuses = [{ name: 'p', ready: true, image: 'i', imageID: '', restartCount: 0, state }];
    const status = { status: { phase: 'Running', containerStatuses } };
    const target = { apiVersion: 'v1', kind: 'Node', name: 'here' };
    await test.call('POST', '/api/v1/namespaces/default/pods/p/binding', { metadata: { name: 'p' }, target });
    await test.call('PATCH', '/api/v1/namespaces/default/pods/p/status', status, patchType.merge);
    expect((await kubectl('logs p')).out).toBe('first\nsecond\n');
    const ran = await kubectl('exec p -- sh -c echo${IFS}out;echo${IFS}err>&2;exit${IFS}7');
    expect(ran).toMatchObject({ code: 7, out: 'out\n' });
    expect(ran.err).toContain('err\n');
    expect((await kubectl('exec -i p -- cat', 'through')).out).toBe('through');
    const forward = start(['port-forward', 'p', `:${(echo.address() as AddressInfo).port}`]);
    let out = '';
    forward.stdout.on('data', (chunk: Buffer) => (out += chunk.toString('utf8')));
    await waitFor('a forwarded port', () => /127\.0\.0\.1:(\d+) ->/.test(out));
    const socket = connect(Number(/127\.0\.0\.1:(\d+) ->/.exec(out)?.[1]), '127.0.0.1');
    socket.write('echoed');
    const [reply] = (await once(socket, 'data')) as [Buffer];
    expect(reply.toString('utf8')).toBe('echoed');
    socket.destroy();
    forward.kill();
    await once(forward, 'close');
  });
});
