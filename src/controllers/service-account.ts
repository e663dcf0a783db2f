import { ApiError } from '../api/client/client.ts';
import { done } from '../api/client/reconcile.ts';
import { resources } from '../api/client/resources.ts';
import type { ConfigMap } from '../api/kinds/config.ts';
import type { KubeObject } from '../api/kinds/meta.ts';
import type { Namespace } from '../api/kinds/node.ts';
import { type ControllerContext, openLoop, together } from './context.ts';
import { isNamespaceTerminating } from './pod-control.ts';

const ROOT_CA = 'kube-root-ca.crt';
const ROOT_CA_KEY = 'ca.crt';

/** Every namespace has a ServiceAccount `default` and a ConfigMap kube-root-ca.crt; both come back when deleted. */
export function openServiceAccountController(
  context: ControllerContext,
  options: { readonly rootCaPem: string | undefined },
): AsyncDisposable {
  const { client, informers } = context;
  const namespaces = informers.informer<Namespace>(resources.namespaces);
  const accounts = informers.informer<KubeObject>(resources.serviceAccounts);
  const configMaps = informers.selected<ConfigMap>(resources.configMaps, `metadata.name=${ROOT_CA}`);
  const { rootCaPem } = options;
  const loop = openLoop(context, 'service-account', async (namespace, signal) => {
    const present = namespaces.get(undefined, namespace);
    if (!present || present.metadata.deletionTimestamp || present.status?.phase === 'Terminating')
      return done;
    if (!accounts.get(namespace, 'default')) {
      const metadata = { name: 'default', namespace };
      const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata };
      await tolerant(client.create(resources.serviceAccounts, account, { signal }));
    }
    const bundle = configMaps.get(namespace, ROOT_CA);
    if (rootCaPem === undefined || bundle?.data?.[ROOT_CA_KEY] === rootCaPem) return done;
    const wanted: ConfigMap = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: bundle?.metadata ?? { name: ROOT_CA, namespace },
      data: { [ROOT_CA_KEY]: rootCaPem },
    };
    if (bundle) await client.update(resources.configMaps, wanted, { signal });
    else await tolerant(client.create(resources.configMaps, wanted, { signal }));
    return done;
  });
  return together(
    loop,
    namespaces.subscribe(({ type, object }) => {
      if (type !== 'deleted') loop.add(object.metadata.name);
    }),
    accounts.subscribe(({ type, object }) => {
      if (type === 'deleted' && object.metadata.name === 'default') loop.add(object.metadata.namespace ?? '');
    }),
    configMaps.subscribe(({ object }) => loop.add(object.metadata.namespace ?? '')),
  );
}

/** Somebody else made it, or the namespace is going away. */
async function tolerant(creation: Promise<unknown>): Promise<void> {
  try {
    await creation;
  } catch (error) {
    if (error instanceof ApiError && error.reason === 'AlreadyExists') return;
    if (!isNamespaceTerminating(error)) throw error;
  }
}
