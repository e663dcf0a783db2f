import type { SnapshotSource } from '../../../endpoints/snapshot.ts';
import type { DnsServer } from '../../../dns/server/dns-server.ts';
import { IngressController } from '../../../ingress/controller.ts';
import { sleep } from '../../base/clock.ts';
import type { ApiClient } from '../../api/client/client.ts';
import { openEventRecorder } from '../../api/client/event-recorder.ts';
import type { InformerFactory } from '../../api/client/informer-factory.ts';
import type { IngressLoadBalancerIngress } from '../../api/kinds/ingress.ts';
import { feedIngress } from '../cluster-model.ts';
import { ingressReporter, IngressStatusWriter } from './ingress-status.ts';
import { NeededSecrets } from './needed-secrets.ts';
import { lookUp } from '../dns/name-lookup.ts';
import type { NodeDeps } from '../parts.ts';

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

/** A running ingress with what writes for it; disposal ends both. */
export interface IngressPart extends AsyncDisposable {
  readonly controller: IngressController;
}

/** How long the first Secrets are waited for. After that the default certificate serves until they come. */
const SECRETS_WAIT_MS = 5_000;

/** An ingress in this process, fed from its informers; listens and serves when the promise resolves. */
export async function openIngressPart(
  deps: IngressPartDeps,
  options: IngressPartOptions,
  signal?: AbortSignal,
): Promise<IngressPart> {
  const { client, dns, informers, clock } = deps;
  const { http, https, drainMs, ...rest } = options;
  await using stack = new AsyncDisposableStack();
  const writer = statusWriter(deps, options);
  if (writer) stack.use(writer);
  const report =
    writer && ingressReporter(writer, stack.use(openEventRecorder(deps, { component: 'weft-ingress' })));
  const needed: { keys: ReadonlySet<string>; secrets?: NeededSecrets } = { keys: new Set() };
  const stop = new AbortController();
  const controller = stack.use(
    await IngressController.open(
      {
        ...deps,
        resolve: (name) =>
          dns ? lookUp(dns, name) : Promise.reject(new Error(`${name}: no DNS runs in this process`)),
        publishStatus: async (object, addresses) => writer?.want(object, addresses),
        ...(report && { report }),
        needSecrets: (keys) => {
          needed.keys = keys;
          void needed.secrets?.need(keys, stop.signal);
        },
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
  stack.use(await feedIngress(informers, controller, signal));
  await controller.settled();
  const secrets = stack.use(new NeededSecrets(client, deps, controller));
  needed.secrets = secrets;
  const waiting = new AbortController();
  const waited = sleep(clock, SECRETS_WAIT_MS, waiting.signal).catch(() => {}); // they came
  await Promise.race([secrets.need(needed.keys, stop.signal), waited]);
  waiting.abort(new Error('waited'));
  await controller.settled();
  stack.defer(() => stop.abort(new Error('stopped')));
  const owned = stack.move();
  return { controller, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Nobody else writes statuses where a process has addresses to publish. */
function statusWriter(deps: IngressPartDeps, options: IngressPartOptions): IngressStatusWriter | undefined {
  return options.statusAddresses.length === 0 ? undefined : new IngressStatusWriter(deps, { leading: true });
}
