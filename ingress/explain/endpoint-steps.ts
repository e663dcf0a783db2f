import { type Endpoint, portKey } from '../../endpoints/endpoint.ts';
import type { ServiceEntry } from '../../endpoints/service-port.ts';
import { joinHostPort } from '../../src/net/ip.ts';
import type { BackendRef } from '../compile/route.ts';
import type { Cluster } from '../upstream/clusters.ts';
import type { ExplainStep } from './explanation.ts';

/** Every endpoint of the backend, in or out, and why. */
export function endpointSteps(
  service: ServiceEntry | undefined,
  backend: BackendRef,
  serviceUpstream: boolean,
  cluster: Cluster,
): ExplainStep[] {
  const port = service?.ports.find(({ port: number }) => number === cluster.portNumber);
  const used = new Set(cluster.endpoints.map(({ id }) => id));
  const step = (subject: string, outcome: string): ExplainStep => ({ topic: 'endpoint', subject, outcome });
  const steps: ExplainStep[] = [];
  if (cluster.endpoints.length === 0) steps.push(step(cluster.key, cluster.reason ?? 'no endpoints'));
  if (!service || !port || serviceUpstream || service.type === 'ExternalName') {
    const how = serviceUpstream ? 'in: cluster IP (service-upstream)' : `in: address of ${backend.service}`;
    return [...steps, ...[...used].map((id) => step(id, how))];
  }
  const key = portKey(port.name, 'TCP');
  for (const endpoint of service.endpoints) {
    const at = endpoint.ports.get(key);
    if (at === undefined) continue;
    const id = joinHostPort(endpoint.address, at);
    steps.push(step(id, used.has(id) ? `in: ${stateOf(endpoint)}` : `out: ${stateOf(endpoint)}`));
  }
  return steps;
}

function stateOf({ ready, serving, terminating }: Endpoint): string {
  if (ready && !terminating) return 'ready';
  if (terminating) return serving ? 'terminating, still serving' : 'terminating';
  return 'not ready';
}
