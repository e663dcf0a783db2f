import type { EndpointAddressPort } from '../../../endpoints/node-view.ts';
import { socketName } from '../../../src/net/native/stream-socket.ts';

/** Endpoints as the kernel wants them; an endpoint keeps its identity as long as it is in a view. */
const names = new WeakMap<EndpointAddressPort, Uint8Array>();

/** As struct sockaddr. */
export function endpointName(endpoint: EndpointAddressPort): Uint8Array {
  let name = names.get(endpoint);
  if (!name) names.set(endpoint, (name = socketName(endpoint)));
  return name;
}
