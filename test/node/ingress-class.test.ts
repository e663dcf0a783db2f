import { expect, it } from 'vitest';
import { createApiClient } from '../../src/api/client/api-client.ts';
import { resources } from '../../src/api/client/resources.ts';
import {
  DEFAULT_INGRESS_CLASS_ANNOTATION,
  type Ingress,
  type IngressClass,
} from '../../src/api/kinds/ingress.ts';
import { ensureIngressClass, INGRESS_CONTROLLER } from '../../src/node/ingress/ingress-class.ts';
import { openTestServer } from '../api/server/support.ts';

it('gives new Ingresses the class weft, until somebody says otherwise', async () => {
  await using test = await openTestServer();
  const client = createApiClient(test.server.exchange({ username: 'test', groups: ['system:masters'] }));
  const classOf = async (name: string): Promise<string | undefined> => {
    const backend = { service: { name: 'web', port: { number: 80 } } };
    const ingress = {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      metadata: { name, namespace: 'default' },
      spec: { defaultBackend: backend },
    };
    return (await client.create<Ingress>(resources.ingresses, ingress)).spec?.ingressClassName;
  };
  expect(await classOf('before')).toBeUndefined();
  await ensureIngressClass(client);
  expect(await classOf('after')).toBe('weft');

  const metadata = { annotations: { [DEFAULT_INGRESS_CLASS_ANNOTATION]: 'false' } };
  await client.patch(resources.ingressClasses, 'weft', undefined, 'merge', { metadata });
  await ensureIngressClass(client);
  expect(await classOf('told-otherwise')).toBeUndefined();
  const made = await client.get<IngressClass>(resources.ingressClasses, 'weft');
  expect(made.spec?.controller).toBe(INGRESS_CONTROLLER);
});
