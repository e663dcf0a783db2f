import type { ApiClient } from '../api/client/client.ts';
import { Kubelet, type KubeletOptions } from '../kubelet/kubelet.ts';
import { KubeletServer, type KubeletServerOptions } from '../kubelet/server/kubelet-server.ts';
import { joinHostPort } from '../net/ip.ts';
import type { NodeDeps } from './parts.ts';

export interface KubeletPartOptions {
  readonly kubelet: Omit<KubeletOptions, 'endpoint'>;
  /** Where the API server asks for logs and commands; undefined: nothing says which API server may. */
  readonly listen: KubeletServerOptions | undefined;
}

/** The kubelet of a host whose API server is elsewhere: pods, and the door for their logs and commands. */
export async function openKubeletPart(
  deps: NodeDeps & { readonly client: ApiClient },
  { kubelet, listen }: KubeletPartOptions,
  signal: AbortSignal,
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  // listens first: the Node object is to tell where
  const server = listen && stack.use(await KubeletServer.open(deps, listen));
  const running = stack.use(
    await Kubelet.open(deps, { ...kubelet, ...(server && { endpoint: server }) }, signal),
  );
  server?.attach(running.door);
  const where = server && listen ? `, logs and exec at ${joinHostPort(listen.host, server.port)}` : '';
  deps.onReady('kubelet', `node ${kubelet.nodeName}, pods in ${kubelet.podCidr}${where}`);
  return stack.move();
}
