import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { waitFor } from '../../../support/wait-for.ts';
import { openTestServer, type TestServer } from '../support.ts';
import { admissionReview, type Review, Webhook } from '../webhook.ts';

const ADMISSION = '/apis/admissionregistration.k8s.io/v1';
const POD = '/api/v1/namespaces/default/pods/p1';
const CONNECTS = { operations: ['CONNECT'], apiGroups: [''], apiVersions: ['v1'], resources: ['*/*'] };
const SHOWN =
  'request.operation + " " + request.kind.kind + " " + request.resource.resource + "/" + request.subResource + " " + ' +
  'request.name + " " + object.kind + (has(object.path) ? " " + object.path : "") + ' +
  '(has(object.command) && object.command != null ? " " + object.command.join(",") : "") + ' +
  '(has(object.container) ? " " + object.container : "") + (has(object.tty) ? " tty" : "") + ' +
  '(has(object.ports) ? " " + string(object.ports[1]) : "")';

let server: TestServer;
let hook: Webhook;
let reviews: Review[] = [];

beforeAll(async () => {
  hook = await Webhook.open((request) => {
    reviews.push(request);
    const patch = Buffer.from(JSON.stringify([{ op: 'replace', path: '/container', value: 'other' }]));
    return admissionReview(request, { patchType: 'JSONPatch', patch: patch.toString('base64') });
  });
  server = await openTestServer();
  const made = await server.call('POST', '/api/v1/namespaces/default/pods', {
    metadata: { name: 'p1' },
    spec: { containers: [{ name: 'c', image: 'x' }] },
  });
  expect(made.status).toBe(201);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  hook[Symbol.dispose]();
});

describe('connections', () => {
  it('are changed by webhooks, who are told what was asked for', async () => {
    const { port, caBundle } = hook;
    const webhook = {
      name: 'connects.example.com',
      clientConfig: { url: `https://127.0.0.1:${port}/`, caBundle },
      rules: [{ ...CONNECTS, resources: ['pods/exec'] }],
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
    };
    const target = `${ADMISSION}/mutatingwebhookconfigurations`;
    const { status } = await server.call('POST', target, { metadata: { name: 'm' }, webhooks: [webhook] });
    expect(status).toBe(201);
    await waitFor('the webhook', async () => {
      const { body } = await server.call('GET', `${POD}/exec?command=ls&command=-l&container=c&stdout=true`);
      return body.message === 'container other is not valid for pod p1';
    });
    const asked = reviews.at(-1);
    expect(asked).toMatchObject({
      operation: 'CONNECT',
      kind: { group: '', version: 'v1', kind: 'PodExecOptions' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      subResource: 'exec',
      requestKind: { kind: 'PodExecOptions' },
      name: 'p1',
      namespace: 'default',
      oldObject: null,
      options: null,
      dryRun: false,
    });
    expect(asked.object).toEqual({
      kind: 'PodExecOptions',
      apiVersion: 'v1',
      command: ['ls', '-l'],
      container: 'c',
      stdout: true,
    });
    await server.call('DELETE', `${target}/m`);
    reviews = [];
    await server.call('GET', `${POD}/log`);
    expect(reviews).toEqual([]);
  });

  it.each([
    [`${POD}/exec?command=ls&container=c&tty=true`, 'PodExecOptions pods/exec p1 PodExecOptions ls c tty'],
    [`${POD}/attach?container=c`, 'PodAttachOptions pods/attach p1 PodAttachOptions c'],
    [`${POD}/portforward?ports=80,81`, 'PodPortForwardOptions pods/portforward p1 PodPortForwardOptions 81'],
    [`${POD}:80/proxy/a/b?c=d`, 'PodProxyOptions pods/proxy p1:80 PodProxyOptions /a/b'],
    [
      '/api/v1/namespaces/default/services/s/proxy/x',
      'ServiceProxyOptions services/proxy s ServiceProxyOptions /x',
    ],
    ['/api/v1/nodes/n/proxy/stats', 'NodeProxyOptions nodes/proxy n NodeProxyOptions /stats'],
  ])('%s is judged by policies', async (target, shown) => {
    const spec = {
      matchConstraints: { resourceRules: [CONNECTS] },
      validations: [{ expression: 'request.userInfo.username != "eve"', messageExpression: SHOWN }],
    };
    await server.call('POST', `${ADMISSION}/validatingadmissionpolicies`, { metadata: { name: 'p' }, spec });
    await server.call('POST', `${ADMISSION}/validatingadmissionpolicybindings`, {
      metadata: { name: 'p' },
      spec: { policyName: 'p', validationActions: ['Deny'] },
    });
    const eve = server.as('eve', 'system:masters');
    await waitFor('the refusal', async () => (await eve('GET', target)).status === 422);
    expect((await eve('GET', target)).body.message).toContain(`denied request: CONNECT ${shown}`);
    expect((await server.call('GET', target)).status).not.toBe(422);
  });
});
