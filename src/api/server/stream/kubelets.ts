import { numberAt, objectAt, objectsAt, stringAt } from '../../kinds/json-value.ts';
import { KUBELET_CERTIFICATE_ANNOTATION } from '../../kinds/node.ts';
import type { PodStreams } from '../../kinds/pod-streams.ts';
import { type KubeletEndpoint, remotePodStreams } from '../../streams/remote-pod-streams.ts';
import { objectOf } from '../admission/objects.ts';
import type { Pki } from '../identity/pki.ts';
import { isForbiddenTarget } from '../proxy/forbidden.ts';
import { badRequest, unavailable } from '../status.ts';
import type { Core } from '../verbs/context.ts';
import type { StreamsSource } from './target.ts';

/**
 * The kubelet of a node: over HTTPS where the Node object tells its port, else the one of this process. Its certificate
 * is the one the Node object publishes, or one of the cluster's CA for the address.
 */
export function kubelets(core: Core, pki: Pki, local: () => PodStreams | undefined): StreamsSource {
  return (nodeName) => {
    const endpoint = endpointOf(core, pki, nodeName);
    const streams = endpoint ? remotePodStreams(endpoint) : local();
    if (streams) return streams;
    throw unavailable(`node ${nodeName} tells no port of its kubelet, and none runs in this server`);
  };
}

function endpointOf(core: Core, { ca, kubeletClient }: Pki, nodeName: string): KubeletEndpoint | undefined {
  const node = objectOf(core, '', 'nodes', '', nodeName);
  const status = objectAt(node, 'status');
  const port = numberAt(objectAt(objectAt(status, 'daemonEndpoints'), 'kubeletEndpoint'), 'Port');
  const address = objectsAt(status, 'addresses').find(({ type }) => type === 'InternalIP');
  const host = stringAt(address, 'address');
  // The API fills in 0 where a node says nothing.
  if (!port || host === '') return undefined;
  if (isForbiddenTarget(host)) throw badRequest('address not allowed');
  const pinned = node?.metadata.annotations?.[KUBELET_CERTIFICATE_ANNOTATION];
  return {
    nodeName,
    host,
    port,
    trustedPem: pinned ?? ca.pem,
    pinned: pinned !== undefined,
    certPem: kubeletClient.certificatePem,
    keyPem: kubeletClient.keyPem,
  };
}
