import type { ApiClient } from '../../api/client/client.ts';
import { type InformerDeps, openInformer } from '../../api/client/open-informer.ts';
import { resources } from '../../api/client/resources.ts';
import type { IngressLoadBalancerIngress } from '../../api/kinds/ingress.ts';
import type { Service } from '../../api/kinds/service.ts';

/**
 * Follows one Service (`--publish-service`) and tells what clients can reach it by: its load balancer's addresses,
 * its external name, else its external IPs and cluster IPs, as ingress-nginx does.
 */
export function followPublishedService(
  client: ApiClient,
  key: string,
  deps: InformerDeps,
  changed: (addresses: readonly IngressLoadBalancerIngress[]) => void,
): AsyncDisposable {
  const [namespace = '', name = ''] = key.split('/');
  const selected = { namespace, fieldSelector: `metadata.name=${name}` };
  const informer = openInformer<Service>(client, resources.services, selected, deps);
  const subscription = informer.subscribe((event) =>
    changed(event.type === 'deleted' ? [] : publishedAddresses(event.object)),
  );
  return {
    async [Symbol.asyncDispose]() {
      subscription[Symbol.dispose]();
      await informer[Symbol.asyncDispose]();
    },
  };
}

function publishedAddresses(service: Service): IngressLoadBalancerIngress[] {
  const { spec, status } = service;
  const ips = (list: readonly string[] | undefined): IngressLoadBalancerIngress[] =>
    (list ?? []).filter((ip) => ip !== '' && ip !== 'None').map((ip) => ({ ip }));
  if (spec?.type === 'ExternalName') return spec.externalName ? [{ hostname: spec.externalName }] : [];
  const balancer = status?.loadBalancer?.ingress ?? [];
  if (balancer.length > 0)
    return [
      ...balancer.map(({ ip, hostname }) => ({ ...(ip && { ip }), ...(hostname && { hostname }) })),
      ...ips(spec?.externalIPs),
    ];
  if (spec?.type === 'LoadBalancer') return ips(spec.externalIPs);
  const external = ips(spec?.externalIPs);
  return external.length > 0 ? external : ips(spec?.clusterIPs ?? (spec?.clusterIP ? [spec.clusterIP] : []));
}
