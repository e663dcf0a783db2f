import { expect, it } from 'vitest';
import { parseCidr } from '../../../src/net/cidr.ts';
import { Backend } from '../support/backend.ts';
import { ask } from '../support/client.ts';
import { ingress, service } from '../support/objects.ts';
import { Rig } from '../support/rig.ts';

it('tells an allowed client what became of its request, in a response field', async () => {
  await using backend = await Backend.open();
  const objects = [
    ...service('web', backend.endpoint),
    ingress(),
    ingress({ name: 'api', path: '/api', service: 'gone' }),
  ];
  const explainAllow = [parseCidr('127.0.0.1/32')!];
  await using rig = await Rig.open(objects, { settings: { explainAllow } });
  const headers = { 'x-weft-explain': '1' };
  expect((await ask(rig.http, { headers })).headers['x-weft-explain']).toBe(
    `endpoint ${backend.endpoint}: 200; host web.test: chosen: exact host; ` +
      'rule / Prefix (default/web.test): chosen: longest Prefix by element; ' +
      'rule /api Prefix (default/api): Prefix does not match',
  );
  const refused = await ask(rig.http, { headers, path: '/api/x' });
  expect(refused.status).toBe(503);
  expect(refused.headers['x-weft-explain']).toMatch(/^answer ours: service does not exist; host web\.test/);
  expect((await ask(rig.http)).headers['x-weft-explain']).toBeUndefined();
  const other = { headers, localAddress: '127.0.0.9' };
  expect((await ask(rig.http, other)).headers['x-weft-explain']).toBeUndefined();
});

it('tells nobody unless it is switched on', async () => {
  await using backend = await Backend.open();
  await using rig = await Rig.open([...service('web', backend.endpoint), ingress()]);
  expect(
    (await ask(rig.http, { headers: { 'x-weft-explain': '1' } })).headers['x-weft-explain'],
  ).toBeUndefined();
});
