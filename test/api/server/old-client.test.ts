import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { oldKubectl } from '../../support/old-kubectl.ts';
import { openTestServer, type TestServer } from './support.ts';

let server: TestServer;
beforeAll(async () => {
  server = await openTestServer({ listen: { host: '127.0.0.1', port: 0 } });
});
afterAll(() => server[Symbol.asyncDispose]());

/** The fields of a protobuf message that are themselves messages or text. */
function fields(bytes: Buffer): [number: number, value: Buffer][] {
  const found: [number, Buffer][] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    expect(tag & 7).toBe(2);
    const length = varint();
    expect(at + length).toBeLessThanOrEqual(bytes.length);
    found.push([tag >> 3, bytes.subarray(at, at + length)]);
    at += length;
  }
  return found;
}

const only = (bytes: Buffer, number: number): Buffer[] =>
  fields(bytes).flatMap(([one, value]) => (one === number ? [value] : []));
const named = (bytes: Buffer, number: number, name: string): Buffer =>
  only(only(bytes, number).find((one) => only(one, 1)[0]?.toString() === name) ?? Buffer.alloc(0), 2)[0] ??
  Buffer.alloc(0);

describe('OpenAPI v2', () => {
  it('is JSON, or the protobuf old clients read', async () => {
    const { text, body } = await server.call('GET', '/openapi/v2');
    expect(body.swagger).toBe('2.0');
    expect(body.definitions['io.k8s.api.apps.v1.Deployment'].properties.spec.$ref).toBe(
      '#/definitions/io.k8s.api.apps.v1.DeploymentSpec',
    );
    expect(text).not.toContain('#/components');
    const first = await protobuf();
    const definitions = only(first, 9)[0]!;
    const spec = named(definitions, 1, 'io.k8s.api.apps.v1.DeploymentSpec');
    const replicas = named(only(spec, 25)[0]!, 1, 'replicas');
    expect(only(only(replicas, 22)[0]!, 1)[0]?.toString()).toBe('integer');
    const deployment = named(definitions, 1, 'io.k8s.api.apps.v1.Deployment');
    const gvk = named(deployment, 31, 'x-kubernetes-group-version-kind');
    expect(JSON.parse(only(gvk, 2)[0]!.toString())).toEqual([
      { group: 'apps', version: 'v1', kind: 'Deployment' },
    ]);
    const paths = only(first, 8)[0]!;
    const item = named(paths, 2, '/apis/apps/v1/namespaces/{namespace}/deployments/{name}');
    expect(only(item, 8)).toHaveLength(1);
  });

  async function protobuf(): Promise<Buffer> {
    const reply = await server.server.exchange({ username: 'x', groups: ['system:masters'] })(
      {
        method: 'GET',
        target: '/openapi/v2',
        headers: { accept: 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf' },
      },
      new AbortController().signal,
    );
    expect(reply.headers['content-type']).toBe('application/com.github.proto-openapi.spec.v2.v1.0+protobuf');
    const chunks: Uint8Array[] = [];
    for await (const chunk of reply.body) chunks.push(chunk);
    return Buffer.concat(chunks);
  }
});

describe('kubectl 1.20', () => {
  it('creates, applies, gets, describes, explains and deletes', async (context) => {
    const program = oldKubectl();
    if (program === undefined) {
      context.skip('kubectl 1.20 is not installed (Debian: kubernetes-client; or its path in KUBECTL_1_20)');
      return;
    }
    const home = await mkdtemp(join(tmpdir(), 'weft-old-client-'));
    await writeFile(join(home, 'config'), server.server.adminKubeconfig);
    const kubectl = async (args: string, input = ''): Promise<string> => {
      const child = spawn(program, args.split(' '), {
        env: { PATH: '/usr/bin:/bin', HOME: home, KUBECONFIG: join(home, 'config') },
      });
      let out = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => (out += chunk.toString()));
      child.stdin.end(input);
      await once(child, 'close');
      return out;
    };
    const manifest = JSON.stringify({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'web' },
      spec: {
        replicas: 2,
        selector: { matchLabels: { app: 'web' } },
        template: {
          metadata: { labels: { app: 'web' } },
          spec: { containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 80 }] }] },
        },
      },
    });
    expect(await kubectl('create -f -', manifest)).toBe('deployment.apps/web created\n');
    expect(await kubectl('apply -f -', manifest.replace('"replicas":2', '"replicas":3'))).toContain(
      'configured',
    );
    expect(await kubectl('apply -f -', manifest.replace('containerPort', 'containerPrt'))).toContain(
      'unknown field "containerPrt" in io.k8s.api.core.v1.ContainerPort',
    );
    expect(await kubectl('get deploy -o wide')).toMatch(/web +0\/3 +0 +0 +\d+s +c +i +app=web/);
    expect(await kubectl('describe deploy web')).toContain('3 desired | 0 updated');
    expect(await kubectl('explain deployment.spec.replicas')).toContain('replicas <integer>');
    expect(await kubectl('delete deploy web')).toContain('deployment.apps "web" deleted');
    await rm(home, { recursive: true });
  });
});
