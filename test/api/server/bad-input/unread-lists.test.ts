import { once } from 'node:events';
import { connect } from 'node:http2';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { REQUESTS_IN_FLIGHT_PER_USER } from '../../../../src/api/server/limits.ts';
import { waitFor } from '../../../support/wait-for.ts';
import { openTestServer, type TestServer } from '../support.ts';

const MAPS = '/api/v1/namespaces/default/configmaps';
const REQUESTS = 3 * REQUESTS_IN_FLIGHT_PER_USER;

let test: TestServer;
let token = '';
beforeAll(async () => {
  test = await openTestServer({ listen: { host: '127.0.0.1', port: 0 } });
  const data = { filler: 'x'.repeat(20_000) };
  await Promise.all(
    Array.from({ length: 6 }, (_, i) => test.call('POST', MAPS, { metadata: { name: `m${i}` }, data })),
  );
  const accounts = '/api/v1/namespaces/default/serviceaccounts';
  await test.call('POST', accounts, { metadata: { name: 'reader' } });
  await test.call('POST', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: 'reader' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
    subjects: [{ kind: 'ServiceAccount', name: 'reader', namespace: 'default' }],
  });
  const asked = await test.call('POST', `${accounts}/reader/token`, { spec: {} });
  token = asked.body.status.token as string;
});
afterAll(() => test[Symbol.asyncDispose]());

it('lists nobody reads are bounded for each user; the rest comes as they are read', async () => {
  const session = connect(`https://${test.server.address}`, { ca: test.server.caPem });
  session.on('error', () => {});
  let [answered, ended] = [0, 0];
  const streams = Array.from({ length: REQUESTS }, () => {
    const stream = session.request({ ':path': MAPS, authorization: `Bearer ${token}` });
    stream.once('response', () => answered++);
    stream.once('end', () => ended++);
    stream.on('error', () => {});
    return stream; // and nobody reads it
  });
  await waitFor('the first answers', () => answered === REQUESTS_IN_FLIGHT_PER_USER, 60_000);
  const other = await test.call('GET', MAPS);
  expect(other.body.items.length).toBeGreaterThanOrEqual(6);
  expect(answered).toBe(REQUESTS_IN_FLIGHT_PER_USER);
  for (const stream of streams) stream.resume();
  await waitFor('all of them', () => ended === REQUESTS, 60_000);
  session.destroy();
  await once(session, 'close');
});

it('a client that goes away gives its places back', async () => {
  for (let round = 0; round < 3; round++) {
    const session = connect(`https://${test.server.address}`, { ca: test.server.caPem });
    session.on('error', () => {});
    let answered = 0;
    for (let i = 0; i < REQUESTS; i++) {
      const stream = session.request({ ':path': MAPS, authorization: `Bearer ${token}` });
      stream.once('response', () => answered++);
      stream.on('error', () => {});
    }
    await waitFor('answers', () => answered >= REQUESTS_IN_FLIGHT_PER_USER, 60_000);
    session.destroy();
    await once(session, 'close');
  }
});
