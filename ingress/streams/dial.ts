import net from 'node:net';
import { isAvailable } from '../balance/health.ts';
import { TRIES_MAX } from '../limits.ts';
import { Deadline, type TimerWheel } from '../timer-wheel.ts';
import type { EndpointState } from '../upstream/cluster.ts';
import type { Cluster } from '../upstream/clusters.ts';

/** Endpoints in turn, available ones first, each at most once. */
export function inTurn(cluster: Cluster, nowMs: number): EndpointState[] {
  const { endpoints } = cluster;
  if (endpoints.length === 0) return [];
  const start = cluster.cursor++ % endpoints.length;
  const order = [...endpoints.slice(start), ...endpoints.slice(0, start)];
  const rank = (endpoint: EndpointState): number => (isAvailable(endpoint, nowMs) ? 0 : 1);
  return order.sort((a, b) => rank(a) - rank(b));
}

/** Connects to an endpoint of the cluster, to another one when that fails; undefined when none takes it. */
export async function dial(
  cluster: Cluster,
  deps: { readonly wheel: TimerWheel },
  options: { readonly connectMs: number; readonly nowMs: number },
): Promise<{ socket: net.Socket; endpoint: EndpointState } | undefined> {
  await cluster.resolving;
  for (const endpoint of inTurn(cluster, options.nowMs).slice(0, TRIES_MAX)) {
    const socket = await connect(endpoint, deps.wheel, options.connectMs);
    if (socket) return { socket, endpoint };
  }
  return undefined;
}

function connect(
  endpoint: EndpointState,
  wheel: TimerWheel,
  connectMs: number,
): Promise<net.Socket | undefined> {
  return new Promise((resolve) => {
    const { host, port } = endpoint.address;
    const socket = net.connect({ host, port, noDelay: true, allowHalfOpen: true });
    const deadline = new Deadline(() => finish(false));
    const finish = (connected: boolean): void => {
      wheel.remove(deadline);
      socket.off('connect', onConnect);
      socket.off('error', onError);
      if (!connected) socket.destroy();
      resolve(connected ? socket : undefined);
    };
    const onConnect = (): void => finish(true);
    const onError = (): void => finish(false);
    wheel.arm(deadline, connectMs);
    socket.once('connect', onConnect);
    socket.once('error', onError);
  });
}
