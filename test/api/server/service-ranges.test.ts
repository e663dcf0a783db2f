import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { openMemoryStore } from '../../../src/store/memory-store.ts';
import type { Store } from '../../../src/store/store.ts';
import { waitFor } from '../../support/wait-for.ts';
import { openTestServer, patchType, type TestReply, type TestServer } from './support.ts';

const SERVICES = '/api/v1/namespaces/default/services';
const NETWORKING = '/apis/networking.k8s.io/v1';
const OUTSIDE = 'the provided network does not match the current range';

describe('ranges of cluster IPs', () => {
  let store: Store;
  let world: TestServer;
  beforeEach(async () => {
    store = openMemoryStore({ clock: systemClock, log: silentLogger });
    world = await openTestServer({ advertise: '10.0.0.7:6443' }, { store });
  });
  afterEach(async () => {
    await world[Symbol.asyncDispose]();
    await store[Symbol.asyncDispose]();
  });

  const service = (name: string, spec: object = {}): Promise<TestReply> =>
    world.call('POST', SERVICES, { metadata: { name }, spec: { ports: [{ port: 80 }], ...spec } });
  const range = (name: string, ...cidrs: string[]): Promise<TestReply> =>
    world.call('POST', `${NETWORKING}/servicecidrs`, { metadata: { name }, spec: { cidrs } });
  const readyOf = async (name: string): Promise<{ status: string; reason: string; message: string }> => {
    const { body } = await world.call('GET', `${NETWORKING}/servicecidrs/${name}`);
    return body.status?.conditions?.[0];
  };
  const untilReady = (name: string, status = 'True'): Promise<unknown> =>
    waitFor(`${name} ready ${status}`, async () => (await readyOf(name))?.status === status);
  const addresses = async (): Promise<string[]> => {
    const { body } = await world.call('GET', `${NETWORKING}/ipaddresses`);
    return body.items.map((one: { metadata: { name: string } }) => one.metadata.name);
  };
  const untilAddresses = (...names: string[]): Promise<unknown> =>
    waitFor(names.join(), async () => (await addresses()).join() === names.join());

  it('begin with the one of the options, and the address of the API', async () => {
    const { body } = await world.call('GET', `${NETWORKING}/servicecidrs/kubernetes`);
    expect(body.spec).toEqual({ cidrs: ['10.96.0.0/16'] });
    expect(body.metadata.finalizers).toEqual(['networking.k8s.io/service-cidr-finalizer']);
    expect(await readyOf('kubernetes')).toMatchObject({
      status: 'True',
      reason: '',
      message: 'Kubernetes default Service CIDR is ready',
    });
    await untilAddresses('10.96.0.1');
  });

  it('have an object for each address, for as long as a Service holds it', async () => {
    const { body } = await service('web', { clusterIP: '10.96.7.7' });
    const { body: address } = await world.call('GET', `${NETWORKING}/ipaddresses/10.96.7.7`);
    expect(address.spec).toEqual({
      parentRef: { resource: 'services', namespace: 'default', name: 'web' },
    });
    expect(address.metadata.labels).toEqual({
      'ipaddress.kubernetes.io/ip-family': 'IPv4',
      'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io',
    });
    const { resourceVersion } = body.metadata;
    const external = { ...body, spec: { type: 'ExternalName', externalName: 'a.example' } };
    external.metadata = { ...body.metadata, resourceVersion };
    expect((await world.call('PUT', `${SERVICES}/web`, external)).status).toBe(200);
    await untilAddresses('10.96.0.1');
    expect((await service('again', { clusterIP: '10.96.7.7' })).status).toBe(201);
    await world.call('DELETE', `${SERVICES}/again`);
    expect((await service('at-once', { clusterIP: '10.96.7.7' })).status).toBe(201);
    await untilAddresses('10.96.0.1', '10.96.7.7');
  });

  it('leave no object behind a refused or dry write', async () => {
    await untilAddresses('10.96.0.1');
    await service('web', { clusterIP: '10.96.7.7' });
    expect((await service('web', { clusterIP: '10.96.7.8' })).status).toBe(409);
    const dry = await world.call('POST', `${SERVICES}?dryRun=All`, {
      metadata: { name: 'dry' },
      spec: { clusterIP: '10.96.7.9', ports: [{ port: 80 }] },
    });
    expect(dry.status).toBe(201);
    await untilAddresses('10.96.0.1', '10.96.7.7');
  });

  it('judge by the Services: an object that is removed by hand comes back', async () => {
    await service('web', { clusterIP: '10.96.7.7' });
    const before = (await world.call('GET', `${NETWORKING}/ipaddresses/10.96.7.7`)).body.metadata.uid;
    await world.call('DELETE', `${NETWORKING}/ipaddresses/10.96.7.7`);
    await waitFor('a new object', async () => {
      const { status, body } = await world.call('GET', `${NETWORKING}/ipaddresses/10.96.7.7`);
      return status === 200 && body.metadata.uid !== before;
    });
    expect((await service('thief', { clusterIP: '10.96.7.7' })).body.message).toContain(
      'provided IP is already allocated',
    );
  });

  it('make the objects of Services that are older than such objects', async () => {
    await service('old', { clusterIP: '10.96.7.7' });
    await world[Symbol.asyncDispose]();
    await store.delete('/registry/networking.k8s.io/ipaddresses/10.96.7.7');
    world = await openTestServer({ advertise: '10.0.0.7:6443' }, { store });
    await untilAddresses('10.96.0.1', '10.96.7.7');
  });

  it('leave addresses alone that somebody reserved by hand', async () => {
    const spec = { parentRef: { resource: 'services', namespace: 'default', name: 'ghost' } };
    await world.call('POST', `${NETWORKING}/ipaddresses`, { metadata: { name: '10.96.9.9' }, spec });
    expect((await service('web', { clusterIP: '10.96.9.9' })).body.message).toContain(
      'provided IP is already allocated',
    );
  });

  it('grow by another object, and shrink when its last address is free', async () => {
    expect((await service('early', { clusterIP: '10.97.0.3' })).body.message).toContain(OUTSIDE);
    await range('extra', '10.97.0.0/28');
    await untilReady('extra');
    expect((await service('late', { clusterIP: '10.97.0.3' })).status).toBe(201);
    for (const edge of ['10.97.0.0', '10.97.0.15']) {
      expect((await service('edge', { clusterIP: edge })).body.message, edge).toContain(OUTSIDE);
    }
    await world.call('DELETE', `${NETWORKING}/servicecidrs/extra`);
    await untilReady('extra', 'False');
    expect(await readyOf('extra')).toMatchObject({
      reason: 'Terminating',
      message:
        'There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR',
    });
    expect((await service('too-late', { clusterIP: '10.97.0.4' })).body.message).toContain(OUTSIDE);
    await world.call('DELETE', `${SERVICES}/late`);
    await waitFor('its end', async () => {
      return (await world.call('GET', `${NETWORKING}/servicecidrs/extra`)).status === 404;
    });
  });

  it('take from the next range when one is full', async () => {
    await world[Symbol.asyncDispose]();
    world = await openTestServer({ serviceCidrs: ['10.98.0.0/30'] }, { store });
    const made = [];
    for (const name of ['a', 'b']) made.push((await service(name)).body.spec.clusterIP as string);
    expect(made.sort()).toEqual(['10.98.0.1', '10.98.0.2']);
    expect((await service('c')).body.message).toContain('range is full');
    await range('more', '10.98.8.0/30');
    await untilReady('more');
    expect((await service('c')).body.spec.clusterIP).toMatch(/^10\.98\.8\.[12]$/);
  });

  it('let the default go when another one covers its addresses', async () => {
    await untilAddresses('10.96.0.1');
    await range('wide', '10.96.0.0/12');
    await untilReady('wide');
    await world.call('DELETE', `${NETWORKING}/servicecidrs/kubernetes`);
    await waitFor('its end', async () => {
      return (await world.call('GET', `${NETWORKING}/servicecidrs/kubernetes`)).status === 404;
    });
    expect((await service('web', { clusterIP: '10.97.0.3' })).status).toBe(201);
  });

  it.each([
    [['10.96.0.0/12', 'fd00::/108'], undefined],
    [['10.0.0.0/8'], 'spec.cidrs[0]: Invalid value: "10.0.0.0/8": field is immutable'],
  ])('may become %j: %s', async (cidrs, refusal) => {
    await range('wide', '10.96.0.0/12');
    const target = `${NETWORKING}/servicecidrs/wide`;
    const { status, body } = await world.call('PATCH', target, { spec: { cidrs } }, patchType.merge);
    expect(status).toBe(refusal === undefined ? 200 : 422);
    if (refusal !== undefined) expect(body.message).toContain(refusal);
  });
});
