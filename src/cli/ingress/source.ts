import { createApiClient } from '../../api/client/api-client.ts';
import type { ApiClient, Resource } from '../../api/client/client.ts';
import { feedSink } from '../../api/client/feed-sink.ts';
import { inClusterAccess } from '../../api/client/in-cluster.ts';
import { loadKubeconfig } from '../../api/client/kubeconfig.ts';
import { openManifestSource } from '../../api/client/manifest-source.ts';
import { openHttpExchange } from '../../api/client/open-exchange.ts';
import { openInformer } from '../../api/client/open-informer.ts';
import { resources } from '../../api/client/resources.ts';
import type { ObjectSink } from '../../api/kinds/object-sink.ts';
import { systemClock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import type { Registry } from '../../base/metrics.ts';
import { exec } from '../../net/exec.ts';
import { NeededSecrets } from '../../node/ingress/needed-secrets.ts';
import { connect } from '../api-access.ts';
import { type CliContext, EXIT_FAILURE, EXIT_USAGE, ExitError } from '../context.ts';
import type { IngressObjectFlags } from './flags.ts';

/** What the endpoints model needs, and what the ingress reads beside it. Secrets come one by one, as they are referred to. */
const MODEL: readonly Resource[] = [
  resources.namespaces,
  resources.nodes,
  resources.services,
  resources.endpointSlices,
];
const INGRESS: readonly Resource[] = [resources.ingresses, resources.ingressClasses, resources.configMaps];
const CLUSTER_SCOPED = new Set([resources.namespaces, resources.nodes, resources.ingressClasses]);

/** How long the first lists may take before the user is told what is wrong. */
const SYNC_DEADLINE_MS = 60_000;

/** The API server, when there is one. */
export interface IngressApi extends AsyncDisposable {
  readonly client: ApiClient;
  /** Namespace of the kubeconfig's context, or of our pod. */
  readonly namespace: string;
}

/**
 * By kubeconfig, as a pod of the cluster, or as other commands find their cluster; undefined when manifests take its
 * place.
 */
export async function connectIngressApi(
  context: CliContext,
  flags: IngressObjectFlags,
): Promise<IngressApi | undefined> {
  const { env } = context;
  if (flags.from) return undefined;
  if (!flags.kubeconfig && !env['KUBERNETES_SERVICE_HOST']) return await connect(context, undefined);
  try {
    const access = flags.kubeconfig ? await loadKubeconfig(flags.kubeconfig) : await inClusterAccess(env);
    const open = openHttpExchange(access, { clock: systemClock, exec, env });
    return {
      client: createApiClient(open.exchange, { userAgent: 'weft-ingress' }),
      namespace: access.namespace,
      [Symbol.asyncDispose]: () => open[Symbol.asyncDispose](),
    };
  } catch (error) {
    throw new ExitError(
      EXIT_USAGE,
      `${messageOf(error)}. Name a kubeconfig with --kubeconfig, or manifests with --from.`,
    );
  }
}

export interface IngressSourceOptions {
  readonly flags: IngressObjectFlags & { readonly watchNamespace?: string };
  readonly api: IngressApi | undefined;
  /** Told of services and slices. */
  readonly model: ObjectSink;
  /** Told of Ingresses and what belongs to them. */
  readonly ingress: ObjectSink;
  readonly follow: boolean;
  readonly metrics: Registry;
}

export interface IngressSource extends AsyncDisposable {
  /** These Secrets (`namespace/name`) are needed from now on; resolves when they were read once. */
  needSecrets(keys: ReadonlySet<string>): Promise<void>;
}

/** Feeds the sinks; resolves when the first complete lists are in. */
export async function openIngressSource(
  context: CliContext,
  options: IngressSourceOptions,
): Promise<IngressSource> {
  const { api, flags } = options;
  return api ? await fromApi(context, api, options) : await fromManifests(context, flags.from ?? [], options);
}

async function fromManifests(
  { stdin, log }: CliContext,
  from: readonly string[],
  { model, ingress, follow }: IngressSourceOptions,
): Promise<IngressSource> {
  const deps = { stdin, clock: systemClock, log };
  const source = await openManifestSource(from, [model, ingress], deps, { follow });
  return {
    needSecrets: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
}

async function fromApi(
  { log, stop }: CliContext,
  { client }: IngressApi,
  options: IngressSourceOptions,
): Promise<IngressSource> {
  const { watchNamespace } = options.flags;
  await using opening = new AsyncDisposableStack();
  const deps = { clock: systemClock, log, random: Math.random, metrics: options.metrics };
  const secrets = opening.use(new NeededSecrets(client, deps, options.ingress));
  const signal = AbortSignal.any([stop, AbortSignal.timeout(SYNC_DEADLINE_MS)]);
  const follow = async (resource: Resource, sink: ObjectSink): Promise<void> => {
    const scope =
      watchNamespace === undefined || CLUSTER_SCOPED.has(resource) ? {} : { namespace: watchNamespace };
    const informer = opening.use(openInformer(client, resource, scope, deps));
    opening.use(feedSink(informer, sink));
    await informer.synced(signal);
  };
  try {
    // an informer goes on asking; who asks once is told at once
    if (!options.follow) await client.read('/version', signal);
    await Promise.all([
      ...MODEL.map((resource) => follow(resource, options.model)),
      ...INGRESS.map((resource) => follow(resource, options.ingress)),
    ]);
  } catch (error) {
    if (stop.aborted) throw new ExitError(0, 'stopped');
    throw new ExitError(
      EXIT_FAILURE,
      `the API server did not answer: ${messageOf(error)}. Start it, name another kubeconfig with --kubeconfig, or ` +
        'give manifests.',
    );
  }
  const stack = opening.move();
  return {
    needSecrets: (keys) => secrets.need(keys, signal),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
