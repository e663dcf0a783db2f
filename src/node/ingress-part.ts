import type { SnapshotSource } from '../../endpoints/snapshot.ts';
import type { DnsServer } from '../../dns/server/dns-server.ts';
import { IngressController } from '../../ingress/controller.ts';
import type { ApiClient } from '../api/client/client.ts';
import type { InformerFactory } from '../api/client/informer-factory.ts';
import { resources } from '../api/client/resources.ts';
import type { Ingress, IngressLoadBalancerIngress } from '../api/kinds/ingress.ts';
import { feedIngress } from './cluster-model.ts';
import { lookUp } from './name-lookup.ts';
import type { NodeDeps } from './parts.ts';

export interface IngressPartDeps extends NodeDeps {
  readonly snapshots: SnapshotSource;
  readonly client: ApiClient;
  readonly informers: InformerFactory;
  /** Resolves the names of ExternalName services. */
  readonly dns: DnsServer | undefined;
}

export interface IngressPartOptions {
  readonly http: { readonly host: string; readonly port: number } | undefined;
  readonly https: { readonly host: string; readonly port: number } | undefined;
  readonly ingressClass: string;
  readonly controllerName: string;
  readonly watchWithoutClass: boolean;
  readonly strict: boolean;
  /** What clients can reach us by; empty = the status is left alone. */
  readonly statusAddresses: readonly IngressLoadBalancerIngress[];
  /** How long requests and WebSockets may go on when it stops; the ConfigMap's worker-shutdown-timeout when absent. */
  readonly drainMs?: number;
}

/** An ingress in this process, fed from its informers; listens and serves when the promise resolves. */
export async function openIngressPart(
  deps: IngressPartDeps,
  options: IngressPartOptions,
  signal?: AbortSignal,
): Promise<IngressController> {
  const { client, dns, informers } = deps;
  const { http, https, drainMs, ...rest } = options;
  await using stack = new AsyncDisposableStack();
  const ingress = stack.use(
    await IngressController.open(
      {
        ...deps,
        resolve: (name) =>
          dns ? lookUp(dns, name) : Promise.reject(new Error(`${name}: no DNS runs in this process`)),
        publishStatus: (object, addresses) => publishIngressStatus(client, object, addresses),
      },
      {
        ...rest,
        http: http ? [http] : [],
        https: https ? [https] : [],
        applyDefaultClass: false,
        ...(drainMs !== undefined && { settings: { drainMs } }),
      },
    ),
  );
  await feedIngress(informers, ingress, signal);
  await ingress.settled();
  stack.move();
  return ingress;
}

async function publishIngressStatus(
  client: ApiClient,
  ingress: Ingress,
  addresses: readonly IngressLoadBalancerIngress[],
): Promise<void> {
  const { name, namespace } = ingress.metadata;
  const status = { loadBalancer: { ingress: addresses } };
  await client.patch(resources.ingresses, name, namespace, 'merge', { status }, { subresource: 'status' });
}
