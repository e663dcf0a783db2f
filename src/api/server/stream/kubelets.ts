import { numberAt, objectAt, objectsAt, stringAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { KUBELET_CERTIFICATE_ANNOTATION } from '../../kinds/node.ts';
import type { KubeletDoor } from '../../kinds/pod-streams.ts';
import { type KubeletEndpoint, remoteKubelet } from '../../streams/remote-kubelet.ts';
import { objectOf } from '../admission/objects.ts';
import type { Pki } from '../identity/pki.ts';
import { isForbiddenTarget } from '../proxy/forbidden.ts';
import { badRequest, unavailable } from '../status.ts';
import type { Core } from '../verbs/context.ts';
import type { StreamsSource } from './target.ts';

/** The kubelet that runs in this process. */
export interface LocalKubelet {
  readonly nodeName: string;
  readonly door: KubeletDoor;
}

/** The ways to the kubelets of all nodes. */
export interface Kubelets {
  /** Whether the Node object tells a port, or the kubelet runs in this process. */
  has(nodeName: string): boolean;
  /** Over HTTPS, else the one of this process; undefined for a node without either, throws as `endpoint` does. */
  find(nodeName: string): KubeletDoor | undefined;
  /** Where a kubelet listens; throws 400 for addresses that are never connected to. */
  endpoint(nodeName: string): KubeletEndpoint | undefined;
}

/**
 * A kubelet's certificate is the one the Node object publishes, or one of the cluster's CA for the address.
 */
export function kubelets(core: Core, pki: Pki, local: () => LocalKubelet | undefined): Kubelets {
  const endpoint: Kubelets['endpoint'] = (nodeName) => endpointOf(core, pki, nodeName);
  const near = (nodeName: string): KubeletDoor | undefined => {
    const kubelet = local();
    return kubelet?.nodeName === nodeName ? kubelet.door : undefined;
  };
  return {
    endpoint,
    has: (nodeName) => addressOf(core, nodeName) !== undefined || near(nodeName) !== undefined,
    find: (nodeName) => {
      const far = endpoint(nodeName);
      return far ? remoteKubelet(far) : near(nodeName);
    },
  };
}

/** For streams: throws 503 for a node without a kubelet. */
export function streamsOf(found: Kubelets): StreamsSource {
  return (nodeName) => {
    const kubelet = found.find(nodeName);
    if (kubelet) return kubelet;
    throw unavailable(`node ${nodeName} tells no port of its kubelet, and none runs in this server`);
  };
}

/** Of a Node object; '' = it tells none. */
export function internalAddress(node: UnknownObject | undefined): string {
  const addresses = objectsAt(objectAt(node, 'status'), 'addresses');
  return stringAt(
    addresses.find(({ type }) => type === 'InternalIP'),
    'address',
  );
}

/** Where a Node object says that its kubelet is. */
function addressOf(
  core: Core,
  nodeName: string,
): { readonly host: string; readonly port: number } | undefined {
  const node = objectOf(core, '', 'nodes', '', nodeName);
  const endpoints = objectAt(objectAt(node, 'status'), 'daemonEndpoints');
  const port = numberAt(objectAt(endpoints, 'kubeletEndpoint'), 'Port');
  const host = internalAddress(node);
  // The API fills in 0 where a node says nothing.
  return port && host !== '' ? { host, port } : undefined;
}

function endpointOf(core: Core, { ca, kubeletClient }: Pki, nodeName: string): KubeletEndpoint | undefined {
  const address = addressOf(core, nodeName);
  if (!address) return undefined;
  if (isForbiddenTarget(address.host)) throw badRequest('address not allowed');
  const node = objectOf(core, '', 'nodes', '', nodeName);
  const pinned = node?.metadata.annotations?.[KUBELET_CERTIFICATE_ANNOTATION];
  return {
    nodeName,
    ...address,
    trustedPem: pinned ?? ca.pem,
    pinned: pinned !== undefined,
    certPem: kubeletClient.certificatePem,
    keyPem: kubeletClient.keyPem,
  };
}
