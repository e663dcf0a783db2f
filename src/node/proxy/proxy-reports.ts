import type { Proxier, ProxyStatus } from '../../../proxy/proxier.ts';
import { type ApiClient, ApiError } from '../../api/client/client.ts';
import { openEventRecorder } from '../../api/client/event-recorder.ts';
import { done, openReconciler, terminal } from '../../api/client/reconcile.ts';
import { resources } from '../../api/client/resources.ts';
import { secondTime } from '../../api/kinds/lease.ts';
import type { KubeObject } from '../../api/kinds/meta.ts';
import type { NodeDeps } from '../parts.ts';

/** False on a Service while a node cannot serve one of its ports; gone when all is well. */
const CONDITION = 'weft.dev/Served';
const REASON = 'PortRefused';

export interface ReportDeps extends NodeDeps {
  readonly client: ApiClient;
  readonly proxier: Proxier;
  readonly uidOf: (serviceKey: string) => string | undefined;
}

/**
 * Tells on each Service why a port of it is not served: an Event when it begins, a condition while it lasts. Each node
 * owns what it says (server-side apply); the last one to speak of a Service is the one that is read.
 */
export function openProxyReports(deps: ReportDeps, options: { readonly nodeName: string }): AsyncDisposable {
  const { client, clock, proxier, uidOf } = deps;
  const { nodeName } = options;
  const recorder = openEventRecorder(deps, { component: 'weft-proxy', host: nodeName });
  let told: ReadonlyMap<string, string> = new Map();
  const reconciler = openReconciler(deps, {
    name: 'service-conditions',
    workers: 1,
    reconcile: async (key, signal) => {
      const message = told.get(key);
      const condition = {
        type: CONDITION,
        status: 'False',
        reason: REASON,
        message: `node ${nodeName}: ${message}`,
        lastTransitionTime: secondTime(clock.nowMs()),
      };
      const status = { conditions: message === undefined ? [] : [condition] };
      const { metadata, ...kind } = serviceObject(key, undefined);
      const write = { subresource: 'status', fieldManager: `weft-proxy-${nodeName}`, force: true, signal };
      const { name, namespace } = metadata;
      try {
        await client.patch(
          resources.services,
          name,
          namespace,
          'apply',
          { ...kind, metadata, status },
          write,
        );
      } catch (error) {
        // gone, or not ours to write: the Event has said it
        if (error instanceof ApiError && [403, 404].includes(error.status)) return terminal(error.message);
        throw error;
      }
      return done;
    },
  });
  const tell = ({ refused, mode }: ProxyStatus): void => {
    const now = byService(refused, mode);
    const before = told;
    told = now;
    for (const key of new Set([...before.keys(), ...now.keys()])) {
      const message = now.get(key);
      if (before.get(key) === message) continue;
      if (message !== undefined) recorder.record(serviceObject(key, uidOf(key)), 'Warning', REASON, message);
      reconciler.add(key);
    }
  };
  tell(proxier.status.current.value);
  const subscription = proxier.status.subscribe(({ value }) => tell(value));
  return {
    async [Symbol.asyncDispose]() {
      subscription[Symbol.dispose]();
      await reconciler[Symbol.asyncDispose]();
      await recorder[Symbol.asyncDispose]();
    },
  };
}

/** Messages by `namespace/name`; port keys are `namespace/name:portName/PROTOCOL`. */
function byService(refused: ProxyStatus['refused'], mode: string): ReadonlyMap<string, string> {
  const messages = new Map<string, string>();
  for (const { key, reason } of refused) {
    const service = key.slice(0, key.lastIndexOf(':'));
    const before = messages.get(service);
    messages.set(service, before === undefined ? `proxy mode ${mode}: ${reason}` : `${before}; ${reason}`);
  }
  return messages;
}

function serviceObject(key: string, uid: string | undefined): KubeObject {
  const [namespace = '', name = ''] = key.split('/', 2);
  const metadata = { namespace, name, ...(uid !== undefined && { uid }) };
  return { apiVersion: 'v1', kind: 'Service', metadata };
}
