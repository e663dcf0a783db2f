import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openTestServer, patchType, type TestServer } from '../support.ts';

interface Cases {
  readonly versions: readonly string[];
  readonly pods: Readonly<Record<string, { readonly annotations?: object; readonly spec: object }>>;
  /** By `level pod`: the first version with each answer. */
  readonly answers: Readonly<Record<string, readonly (readonly [version: string, answer: string])[]>>;
}

const path = new URL('../../../cases/pod-security.json', import.meta.url);
const cases = JSON.parse(readFileSync(path, 'utf8')) as Cases;

let server: TestServer;
beforeAll(async () => {
  server = await openTestServer();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

describe.each(cases.versions)('Pod Security Standards, %s', (version) => {
  it.each(['baseline', 'restricted'])('%s answers as kube-apiserver', async (level) => {
    const name = `${level}-${version.replace('.', '-')}`;
    const labels = {
      'pod-security.kubernetes.io/enforce': level,
      'pod-security.kubernetes.io/enforce-version': version,
    };
    await server.call('POST', '/api/v1/namespaces', { metadata: { name, labels } });
    const at = cases.versions.indexOf(version);
    const answers: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const [pod, { annotations, spec }] of Object.entries(cases.pods)) {
      const body = { metadata: { name: 'p', ...(annotations && { annotations }) }, spec };
      const reply = await server.call('POST', `/api/v1/namespaces/${name}/pods?dryRun=All`, body);
      const head = `pods "p" is forbidden: violates PodSecurity "${level}:${version}": `;
      answers[pod] = reply.status === 201 ? 'ok' : (reply.body.message as string).replace(head, '');
      const rows = cases.answers[`${level} ${pod}`] ?? [];
      expected[pod] = rows.findLast(([since]) => cases.versions.indexOf(since) <= at)?.[1] ?? '';
    }
    expect(answers).toEqual(expected);
  });
});

it('tells which pods break the version a namespace turns to', async () => {
  await server.call('POST', '/api/v1/namespaces', { metadata: { name: 'turns' } });
  const { spec } = cases.pods['s3'] ?? { spec: {} };
  await server.call('POST', '/api/v1/namespaces/turns/pods', { metadata: { name: 'p' }, spec });
  const turn = async (version: string): Promise<string> => {
    const labels = {
      'pod-security.kubernetes.io/enforce': 'baseline',
      'pod-security.kubernetes.io/enforce-version': version,
    };
    const target = '/api/v1/namespaces/turns';
    const { headers } = await server.call('PATCH', target, { metadata: { labels } }, patchType.merge);
    return headers['warning'] ?? '';
  };
  expect(await turn('v1.32')).toBe('');
  expect(await turn('v1.31')).toContain('p: forbidden sysctls');
});
