import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { waitFor } from '../../../support/wait-for.ts';
import { openTestServer, patchType, type TestServer } from '../support.ts';
import { admissionReview, type Review, Webhook } from '../webhook.ts';

const ADMISSION = '/apis/admissionregistration.k8s.io/v1';
const MAPS = '/api/v1/namespaces/default/configmaps';
const map = (name: string, data: object = {}, labels: object = {}): object => ({
  kind: 'ConfigMap',
  apiVersion: 'v1',
  metadata: { name, labels },
  data,
});
const RULE = { operations: ['*'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] };

let server: TestServer;
let hook: Webhook;
let caBundle: string;
let reviews: Review[];
let answer: (path: string, request: Review) => Review;

beforeAll(async () => {
  const answered = (request: Review, path: string): object | undefined => {
    reviews.push({ path, ...request });
    const reply = answer(path, request);
    return reply === undefined ? undefined : admissionReview(request, reply);
  };
  hook = await Webhook.open(answered, ['hook.default.svc', 'localhost']);
  ({ caBundle } = hook);
  server = await openTestServer();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  hook[Symbol.dispose]();
});
beforeEach(async () => {
  reviews = [];
  answer = () => ({});
  for (const kind of ['mutating', 'validating']) {
    await server.call('DELETE', `${ADMISSION}/${kind}webhookconfigurations`);
  }
});

const port = (): number => hook.port;

async function configure(kind: 'Mutating' | 'Validating', ...webhooks: object[]): Promise<void> {
  const made = await server.call('POST', `${ADMISSION}/${kind.toLowerCase()}webhookconfigurations`, {
    kind: `${kind}WebhookConfiguration`,
    apiVersion: 'admissionregistration.k8s.io/v1',
    metadata: { generateName: 'h-' },
    webhooks: webhooks.map((one, index) => ({
      name: `h${index}.example.com`,
      clientConfig: { url: `https://127.0.0.1:${port()}/${index}`, caBundle },
      rules: [RULE],
      admissionReviewVersions: ['v1'],
      sideEffects: 'None',
      ...one,
    })),
  });
  if (made.status !== 201) throw new Error(made.text);
}

const patchOf = (...operations: object[]): object => ({
  patchType: 'JSONPatch',
  patch: Buffer.from(JSON.stringify(operations)).toString('base64'),
});

describe('webhooks', () => {
  it('are told who wants what, and may refuse', async () => {
    await configure('Validating', {});
    answer = () => ({ allowed: false, status: { message: 'not today', code: 409 } });
    const { status, body } = await server.call('POST', MAPS, map('a', { k: 'v' }));
    expect([status, body.message]).toEqual([
      409,
      'admission webhook "h0.example.com" denied the request: not today',
    ]);
    expect(reviews[0]).toMatchObject({
      kind: { group: '', version: 'v1', kind: 'ConfigMap' },
      resource: { group: '', version: 'v1', resource: 'configmaps' },
      operation: 'CREATE',
      name: 'a',
      namespace: 'default',
      userInfo: { username: 'test-admin', groups: expect.arrayContaining(['system:masters']) },
      object: { metadata: { name: 'a' }, data: { k: 'v' } },
      oldObject: null,
      dryRun: false,
    });
    answer = () => ({ allowed: false });
    const silent = await server.call('POST', MAPS, map('a'));
    expect([silent.status, silent.body.message]).toEqual([
      400,
      'admission webhook "h0.example.com" denied the request without explanation',
    ]);
  });

  it('are told of changes and deletions with the old object', async () => {
    await server.call('POST', MAPS, map('old', { k: '1' }));
    await configure('Validating', {});
    await server.call('PATCH', `${MAPS}/old`, { data: { k: '2' } }, patchType.merge);
    await server.call('DELETE', `${MAPS}/old`);
    expect(
      reviews.map(({ operation, object, oldObject }) => [operation, object?.data.k, oldObject?.data.k]),
    ).toEqual([
      ['UPDATE', '2', '1'],
      ['DELETE', undefined, '2'],
    ]);
  });

  it('change objects in turn, and look again when asked', async () => {
    await configure('Mutating', { reinvocationPolicy: 'IfNeeded' }, {});
    answer = (path, { object }) =>
      path === '/0'
        ? patchOf({
            op: 'add',
            path: object.data['one'] ? '/data/again' : '/data/zero',
            value: Object.keys(object.data).join(),
          })
        : patchOf({ op: 'add', path: '/data/one', value: Object.keys(object.data).join() });
    const { body } = await server.call('POST', MAPS, map('turns', { k: 'v' }));
    expect(body.data).toEqual({ k: 'v', zero: 'k', one: 'k,zero', again: 'k,zero,one' });
    expect(reviews.map(({ path }) => path)).toEqual(['/0', '/1', '/0']);
  });

  it('give warnings, and are not asked by what their selectors and conditions leave out', async () => {
    await configure('Validating', {
      objectSelector: { matchLabels: { watched: 'yes' } },
      matchConditions: [{ name: 'not-skipped', expression: '!has(object.data) || !("skip" in object.data)' }],
    });
    answer = () => ({ warnings: ['careful'] });
    expect((await server.call('POST', MAPS, map('w1'))).headers['warning']).toBeUndefined();
    expect(
      (await server.call('POST', MAPS, map('w2', { skip: '' }, { watched: 'yes' }))).headers['warning'],
    ).toBeUndefined();
    expect((await server.call('POST', MAPS, map('w3', {}, { watched: 'yes' }))).headers['warning']).toBe(
      '299 - "careful"',
    );
    await configure('Validating', { namespaceSelector: { matchLabels: { none: 'such' } } });
    await server.call('POST', MAPS, map('w4'));
    expect(reviews).toHaveLength(1);
  });

  it('see another version of the kind when that is what they know', async () => {
    await configure('Validating', {
      rules: [{ ...RULE, apiGroups: ['events.k8s.io'], resources: ['events'] }],
    });
    const event = {
      kind: 'Event',
      apiVersion: 'v1',
      metadata: { name: 'e' },
      involvedObject: { namespace: 'default' },
      message: 'text',
      reason: 'R',
      type: 'Normal',
    };
    expect((await server.call('POST', '/api/v1/namespaces/default/events', event)).status).toBe(201);
    expect(reviews[0]).toMatchObject({
      kind: { group: 'events.k8s.io' },
      requestKind: { group: '' },
      object: { note: 'text' },
    });
  });

  it('that fail stop the write, or not, as they ask', async () => {
    answer = () => undefined;
    await configure('Validating', { timeoutSeconds: 1 });
    const slow = await server.call('POST', MAPS, map('slow'));
    expect(slow.status).toBe(500);
    expect(slow.body.message).toMatch(
      /failed calling webhook "h0.example.com": failed to call webhook: Post "https:\/\/127.0.0.1:\d+\/0": context deadline exceeded/,
    );
    await server.call('DELETE', `${ADMISSION}/validatingwebhookconfigurations`);
    await configure('Validating', { timeoutSeconds: 1, failurePolicy: 'Ignore' });
    expect((await server.call('POST', MAPS, map('slow'))).status).toBe(201);
  });

  it('must show a certificate of their bundle, and answer the review asked', async () => {
    await configure('Validating', { clientConfig: { url: `https://127.0.0.1:${port()}/` } });
    expect((await server.call('POST', MAPS, map('tls'))).body.message).toMatch(
      /self.signed certificate|unable to verify/,
    );
    await server.call('DELETE', `${ADMISSION}/validatingwebhookconfigurations`);
    await configure('Validating', {});
    answer = () => ({ uid: 'other' });
    expect((await server.call('POST', MAPS, map('tls'))).body.message).toContain('expected response.uid=');
    expect(reviews).toHaveLength(1);
  });

  it('are found behind a service', async () => {
    await server.call('POST', '/api/v1/namespaces/default/services', {
      kind: 'Service',
      apiVersion: 'v1',
      metadata: { name: 'hook' },
      spec: { ports: [{ port: 443, name: 'https' }] },
    });
    await server.call('POST', '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
      kind: 'EndpointSlice',
      apiVersion: 'discovery.k8s.io/v1',
      metadata: { name: 'hook', labels: { 'kubernetes.io/service-name': 'hook' } },
      addressType: 'IPv4',
      ports: [{ name: 'https', port: port(), protocol: 'TCP' }],
      endpoints: [{ addresses: ['127.0.0.1'] }],
    });
    await configure('Validating', {
      clientConfig: { service: { name: 'hook', namespace: 'default', path: '/in' }, caBundle },
    });
    expect((await server.call('POST', MAPS, map('served'))).status).toBe(201);
    expect(reviews[0].path).toBe('/in');
  });

  it('cannot stop their own removal', async () => {
    answer = () => ({ allowed: false });
    await configure('Validating', {
      rules: [{ ...RULE, apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'] }],
    });
    expect((await server.call('POST', MAPS, map('stopped'))).status).toBe(400);
    expect((await server.call('DELETE', `${ADMISSION}/validatingwebhookconfigurations`)).status).toBe(200);
  });
});

describe('ValidatingAdmissionPolicy', () => {
  const policy = (name: string, spec: object): object => ({
    kind: 'ValidatingAdmissionPolicy',
    apiVersion: 'admissionregistration.k8s.io/v1',
    metadata: { name },
    spec: { matchConstraints: { resourceRules: [RULE] }, ...spec },
  });
  const binding = (name: string, spec: object = {}): object => ({
    kind: 'ValidatingAdmissionPolicyBinding',
    apiVersion: 'admissionregistration.k8s.io/v1',
    metadata: { name },
    spec: { policyName: name, validationActions: ['Deny'], ...spec },
  });
  const install = async (name: string, spec: object, bound: object = {}): Promise<void> => {
    const made = await server.call('POST', `${ADMISSION}/validatingadmissionpolicies`, policy(name, spec));
    if (made.status !== 201) throw new Error(made.text);
    const tied = await server.call(
      'POST',
      `${ADMISSION}/validatingadmissionpolicybindings`,
      binding(name, bound),
    );
    if (tied.status !== 201) throw new Error(tied.text);
    await waitFor(
      'the binding',
      async () =>
        (await server.call('GET', `${ADMISSION}/validatingadmissionpolicybindings/${name}`)).status === 200,
    );
  };
  beforeEach(async () => {
    await server.call('DELETE', `${ADMISSION}/validatingadmissionpolicies`);
    await server.call('DELETE', `${ADMISSION}/validatingadmissionpolicybindings`);
  });

  it('denies with its message and reason', async () => {
    await install('small', {
      variables: [{ name: 'count', expression: 'has(object.data) ? size(object.data) : 0' }],
      validations: [
        { expression: 'variables.count <= 1', messageExpression: '"%d entries".format([variables.count])' },
        { expression: 'request.userInfo.username != "eve"', reason: 'Forbidden' },
      ],
    });
    expect((await server.call('POST', MAPS, map('p1', { a: '' }))).status).toBe(201);
    const { status, body } = await server.call('POST', MAPS, map('p2', { a: '', b: '' }));
    expect([status, body.reason, body.message]).toEqual([
      422,
      'Invalid',
      `configmaps "p2" is forbidden: ValidatingAdmissionPolicy 'small' with binding 'small' denied request: 2 entries`,
    ]);
    const eve = await server.as('eve', 'system:masters')('POST', MAPS, map('p3'));
    expect([eve.status, eve.body.reason]).toEqual([403, 'Forbidden']);
  });

  it('asks who may what, of the user or of an account', async () => {
    const roles = '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings';
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' };
    const subjects = [
      { kind: 'User', name: 'ann' },
      { kind: 'ServiceAccount', namespace: 'default', name: 'robot' },
    ];
    await server.call('POST', roles, { metadata: { name: 'editors' }, roleRef, subjects });
    await install('asking', {
      validations: [
        { expression: 'authorizer.requestResource.check("delete").allowed()', message: 'you may not' },
        {
          expression:
            'authorizer.serviceAccount("default", object.data.as).group("").resource("secrets").namespace("default").check("get").allowed()',
          message: 'it may not',
        },
      ],
    });
    const ann = server.as('ann', 'system:authenticated');
    expect((await ann('POST', MAPS, map('z1', { as: 'robot' }))).status).toBe(201);
    expect((await ann('POST', MAPS, map('z2', { as: 'other' }))).body.message).toContain('it may not');
    const message = { messageExpression: 'string(authorizer.path("/").check("get").allowed())' };
    const asks = policy('talks', { validations: [{ expression: 'true', ...message }] });
    const { body } = await server.call('POST', `${ADMISSION}/validatingadmissionpolicies`, asks);
    expect(body.message).toContain("undeclared reference to 'authorizer'");
  });

  it('sees old objects and the namespace, and warns when that is the action', async () => {
    await install(
      'frozen',
      {
        matchConditions: [{ name: 'updates', expression: 'request.operation == "UPDATE"' }],
        validations: [
          { expression: 'object.data == oldObject.data', message: 'frozen' },
          { expression: 'namespaceObject.metadata.name == "default"' },
        ],
      },
      { validationActions: ['Warn', 'Audit'] },
    );
    await server.call('POST', MAPS, map('frozen', { a: '1' }));
    const reply = await server.call('PATCH', `${MAPS}/frozen`, { data: { a: '2' } }, patchType.merge);
    expect(reply.status).toBe(200);
    expect(reply.headers['warning']).toContain(
      "Validation failed for ValidatingAdmissionPolicy 'frozen' with binding 'frozen': frozen",
    );
  });

  it('takes parameters by name or selector, per namespace', async () => {
    await server.call('POST', MAPS, map('limits', { max: '2' }));
    await install(
      'params',
      {
        paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
        matchConditions: [{ name: 'others', expression: 'request.name != "limits"' }],
        validations: [{ expression: 'size(object.data) <= int(params.data.max)' }],
      },
      { paramRef: { name: 'limits', namespace: 'default', parameterNotFoundAction: 'Deny' } },
    );
    expect((await server.call('POST', MAPS, map('few', { a: '', b: '' }))).status).toBe(201);
    const many = await server.call('POST', MAPS, map('many', { a: '', b: '', c: '' }));
    expect(many.body.message).toContain('failed expression: size(object.data) <= int(params.data.max)');
    await server.call('DELETE', `${MAPS}/limits`);
    expect((await server.call('POST', MAPS, map('none', { a: '' }))).body.message).toContain(
      'no params found for policy binding with `Deny` parameterNotFoundAction',
    );
  });

  it('that cannot be evaluated denies or not, as it asks; one that does not compile is not stored', async () => {
    const broken = { validations: [{ expression: 'object.nope.deep == 1' }] };
    await install('broken', broken);
    expect((await server.call('POST', MAPS, map('b1'))).body.message).toContain(
      "expression 'object.nope.deep == 1' resulted in error: no such key: nope",
    );
    await server.call('DELETE', `${ADMISSION}/validatingadmissionpolicies`);
    await server.call('DELETE', `${ADMISSION}/validatingadmissionpolicybindings`);
    await install('lenient', { ...broken, failurePolicy: 'Ignore' });
    expect((await server.call('POST', MAPS, map('b2'))).status).toBe(201);
    const invalid = await server.call(
      'POST',
      `${ADMISSION}/validatingadmissionpolicies`,
      policy('x', { validations: [{ expression: 'object.' }] }),
    );
    expect([invalid.status, invalid.body.details.causes[0].field]).toEqual([
      422,
      'spec.validations[0].expression',
    ]);
  });
});
