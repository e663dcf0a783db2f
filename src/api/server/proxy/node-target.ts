import { Buffer } from 'node:buffer';
import type { KubeletDoor } from '../../kinds/pod-streams.ts';
import { answerKubelet, type KubeletReply, upgradeToKubelet } from '../../streams/kubelet-service.ts';
import { kubeletTls } from '../../streams/remote-kubelet.ts';
import { objectOf } from '../admission/objects.ts';
import { pump } from '../http/byte-sink.ts';
import type { Reply } from '../http/reply.ts';
import type { ApiRequest } from '../http/request.ts';
import { badRequest, notFound, unavailable } from '../status.ts';
import { internalAddress, type Kubelets } from '../stream/kubelets.ts';
import type { Core } from '../verbs/context.ts';
import type { Forward } from './forward.ts';
import { checkedTarget, type ProxyName, tlsTo } from './proxy-name.ts';
import type { Target } from './service-target.ts';

type NodeTarget = (Target & Pick<Forward, 'tls'>) | { readonly door: KubeletDoor };

/**
 * Without a port, or with the kubelet's, the kubelet: as the API server it knows, and sure that it is the one. Any other
 * port of the node is as open as it is to others.
 */
export function nodeTarget(core: Core, wanted: ProxyName, kubelets: Kubelets): NodeTarget {
  const { name, port } = wanted;
  const node = objectOf(core, '', 'nodes', '', name);
  if (!node) throw notFound({ group: '', plural: 'nodes' }, name);
  const endpoint = kubelets.endpoint(name);
  if (endpoint && (port === '' || port === String(endpoint.port)))
    return { host: endpoint.host, port: endpoint.port, tls: kubeletTls(endpoint) };
  if (port === '') {
    const door = kubelets.find(name);
    if (door) return { door };
    throw unavailable(`node ${name} tells no port of its kubelet, and none runs in this server`);
  }
  return { ...checkedTarget(internalAddress(node), Number(port), wanted), tls: tlsTo(wanted) };
}

/** Asks the kubelet of this process, which has no port. */
export async function askHere(
  door: KubeletDoor,
  { method, upgrade, signal }: ApiRequest,
  target: string,
): Promise<Reply | undefined> {
  if (!upgrade) return replyOf(await answerKubelet(door, { method, target, signal }));
  const { socket, raw } = upgrade;
  const head = Buffer.from(upgrade.head);
  const served = await upgradeToKubelet(door, { method, target }, { socket, head, raw });
  if ('status' in served) throw badRequest(typeof served.body === 'string' ? served.body.trim() : '');
  return undefined;
}

function replyOf({ status, contentType, body }: KubeletReply): Reply {
  const headers = { 'content-type': contentType };
  if (typeof body === 'string') return { status, headers, body: Buffer.from(body, 'utf8') };
  return { status, headers, body: (sink) => pump(body, sink) };
}
