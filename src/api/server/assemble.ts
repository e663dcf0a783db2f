import { join } from 'node:path';
import type { Store } from '../../store/store.ts';
import { Drain } from '../../base/drain.ts';
import { builtinKinds } from '../kinds/builtin.ts';
import { KindRegistry } from '../kinds/registry.ts';
import { systemKinds } from '../kinds/system-kinds.ts';
import { type Access, issuerPaths, openAccess } from './access.ts';
import { AdmissionChain, type AdmissionPlugin } from './admission/admission.ts';
import { defaultIngressClass, defaultStorageClass } from './admission/default-classes.ts';
import { defaultTolerations } from './admission/default-tolerations.ts';
import { validatingPolicies } from './admission/dynamic/policies.ts';
import { WebhookClient } from './admission/dynamic/webhook-client.ts';
import { Webhooks } from './admission/dynamic/webhooks.ts';
import { limitRanger } from './admission/limit-ranger.ts';
import { namespaceLifecycle } from './admission/namespace-lifecycle.ts';
import { nodeTaint } from './admission/node-taint.ts';
import { podSecurity } from './admission/pod-security/pod-security.ts';
import { ensurePriorityClasses, priorityAdmission } from './admission/priority.ts';
import { runtimeClassAdmission } from './admission/runtime-class.ts';
import { ResourceQuotas } from './admission/resource-quota.ts';
import { serviceAccountAdmission } from './admission/service-account.ts';
import { storageProtection } from './admission/storage-protection.ts';
import { Claims } from './allocate/claims.ts';
import { openServiceParts } from './allocate/open.ts';
import { repairAtStart } from './allocate/repair.ts';
import { AuditLog } from './audit/audit-log.ts';
import { type Auditor, auditor } from './audit/audit.ts';
import { escalationCheck } from './authorize/escalation.ts';
import { nodeRestriction } from './authorize/node-restriction.ts';
import { reconcilePolicy } from './bootstrap/reconcile-policy.ts';
import { KubernetesService } from './bootstrap/kubernetes-service.ts';
import { ensureNamespaces } from './bootstrap/system-objects.ts';
import { WatchHub } from './cache/hub.ts';
import { openEncryption } from './encryption/encryption.ts';
import { Conversions } from './extension/conversions.ts';
import { CustomResources } from './extension/custom-resources.ts';
import { FairQueue } from './fairness.ts';
import { createHandler } from './handler.ts';
import { discoveryPaths } from './http/discovery-paths.ts';
import { openApiPaths } from './http/openapi-paths.ts';
import { healthPaths } from './http/health.ts';
import { type ApiHandler, ApiListener, type ListenerDeps } from './http/listener.ts';
import { approvalHandler } from './identity/csr.ts';
import { csrIdentity, csrRestriction } from './identity/csr-admission.ts';
import { openPki, type Pki } from './identity/pki.ts';
import { agreeOnKeys } from './identity/shared-keys.ts';
import { tokenRequestHandler } from './identity/token-request.ts';
import { type KubeletAccess, openKubeletAccess } from './kubelet-access.ts';
import { HANDSHAKE_COST_MS } from './limits.ts';
import { startLoops } from './loops.ts';
import { requestMetrics } from './request-metrics.ts';
import type { ApiServerDeps, ApiServerOptions } from './server-options.ts';
import { execHandler } from './stream/exec.ts';
import { logHandler } from './stream/logs.ts';
import { portForwardHandler } from './stream/port-forward.ts';
import { systemHandlers } from './system-objects.ts';
import { evictionHandler } from './verbs/eviction.ts';
import type { Core } from './verbs/context.ts';
import type { SubresourceHandler } from './verbs/dispatch.ts';
import { WatchSlots } from './watch-slots.ts';
import { ObjectStore } from './verbs/object-store.ts';
import { ephemeralContainersHandler, resizeHandler } from './verbs/pod-subresources.ts';
import {
  bindingHandler,
  collectionBinding,
  finalizeHandler,
  scaleHandler,
  statusHandler,
} from './verbs/subresources.ts';

/** The running parts of a server, in the order they were started. */
export interface Parts {
  readonly handler: ApiHandler;
  readonly drain: Drain;
  readonly listener: ApiListener | undefined;
  readonly pki: Pki;
  /** `address:port` that clients elsewhere are told; undefined without a listener. */
  readonly advertised: string | undefined;
  readonly attachKubelet: KubeletAccess['attach'];
}

/** Starts every part; what must be closed goes on the stack in start order. */
export async function assemble(
  deps: ApiServerDeps,
  options: ApiServerOptions,
  stack: AsyncDisposableStack,
): Promise<Parts> {
  const { store, clock, log } = deps;
  const random = deps.random ?? Math.random;
  const encryption = openEncryption(options.encryption ?? []);
  const [pki, hub, claims] = await Promise.all([
    openPki(clock, pkiOptions(store, options)),
    WatchHub.open({ store, clock, log, unseal: encryption.unseal }),
    Claims.open({ store, log }),
  ]);
  stack.use(hub);
  const registry = new KindRegistry([...builtinKinds(), ...systemKinds()]);
  const conversions = new Conversions(() => webhookClient);
  const objects = new ObjectStore({ store, hub, clock, conversions, seal: encryption.seal });
  const plugins: AdmissionPlugin[] = [];
  const admission = new AdmissionChain(plugins);
  const queue = new FairQueue({ nowMs: () => clock.monotonicMs(), nextTurn: setImmediate });
  const core: Core = {
    store,
    objects,
    registry,
    conversions,
    admission,
    clock,
    log,
    random,
    watchSlots: new WatchSlots(clock, options.watchesPerUserMax),
    nextSlice: (username) => queue.slice(username),
  };
  const access = openAccess(core, pki, options.issuer ?? DEFAULT_ISSUER);
  const webhookClient = stack.use(new WebhookClient(core));
  const webhooks = new Webhooks({
    core,
    client: webhookClient,
    decide: access.decide,
    metrics: deps.metrics,
  });
  const services = await openServiceParts(core, claims, options, stack);
  plugins.push(...admissionPlugins(core, access, webhooks), services.allocation);
  await Promise.all([ensureNamespaces(core), reconcilePolicy(core), ensurePriorityClasses(core)]);
  const quotas = ResourceQuotas.open(core);
  if (quotas) plugins.push(stack.use(quotas).plugin);
  const custom = CustomResources.open(core);
  if (custom) stack.use(custom);
  startLoops(core, { pki, access, services }, stack);
  if (options.sharedStore !== true) await repairAtStart(core, services);
  const audit = options.audit && (await openAudit(deps, options.audit, stack));
  const drain = new Drain();
  let address = '';
  const kubelets = openKubeletAccess(core, pki, stack);
  const handler = requestHandler({ ...deps, audit, kubelets, queue }, core, access, drain, () => address);
  const listener = options.listen
    ? stack.use(await openListener({ handler, clock, log, drain }, options.listen, pki, queue))
    : undefined;
  address = listener?.address ?? '';
  const advertised = advertisedAddress(options.advertise, listener?.address);
  const { primary: pool } = services;
  if (pool && advertised !== undefined) {
    const shared = options.sharedStore === true;
    stack.use(await KubernetesService.open(core, { pool, advertised, shared }));
  }
  return { handler, drain, listener, pki, advertised, attachKubelet: (kubelet) => kubelets.attach(kubelet) };
}

/** What clients elsewhere are told; a port of 0 stands for the one that was given. */
function advertisedAddress(wanted: string | undefined, listening: string | undefined): string | undefined {
  if (wanted === undefined || listening === undefined) return wanted ?? listening;
  return wanted.replace(/:0$/, listening.slice(listening.lastIndexOf(':')));
}

/** A new connection waits for the turn of its address: no flood of handshakes holds up who is connected. */
async function openListener(
  deps: Omit<ListenerDeps, 'mayConnect'>,
  listen: NonNullable<ApiServerOptions['listen']>,
  pki: Pki,
  queue: FairQueue,
): Promise<ApiListener> {
  const mayConnect = (address: string): Promise<void> =>
    queue.slice(`connections of ${address}`, HANDSHAKE_COST_MS);
  return await ApiListener.open({ ...deps, mayConnect }, { ...listen, ...pki.server, caPem: pki.ca.pem });
}

/** In upstream's order: what changes objects comes before what judges them. */
function admissionPlugins(core: Core, access: Access, webhooks: Webhooks): AdmissionPlugin[] {
  return [
    namespaceLifecycle(core),
    nodeTaint,
    priorityAdmission(core),
    runtimeClassAdmission(core),
    defaultTolerations,
    serviceAccountAdmission(core),
    limitRanger(core),
    defaultIngressClass(core),
    defaultStorageClass(core),
    storageProtection,
    webhooks.mutating,
    podSecurity(core),
    csrIdentity,
    csrRestriction(access.authorize),
    nodeRestriction,
    escalationCheck(access),
    validatingPolicies(core, access.decide),
    webhooks.validating,
  ];
}

const DEFAULT_ISSUER = 'https://kubernetes.default.svc.cluster.local';

const SERVICE_NAMES = [
  'localhost',
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
];

function pkiOptions(store: Store, options: ApiServerOptions): Parameters<typeof openPki>[1] {
  const { pkiSecret } = options;
  return {
    ...(pkiSecret !== undefined && { agree: (own) => agreeOnKeys(store, pkiSecret, own) }),
    dir: options.dataDir === undefined ? undefined : join(options.dataDir, 'pki'),
    dnsNames: [...SERVICE_NAMES, ...(options.serverNames ?? [])],
    ipAddresses: ['127.0.0.1', '::1', ...(options.serverAddresses ?? [])],
  };
}

async function openAudit(
  deps: ApiServerDeps,
  { policy, path }: NonNullable<ApiServerOptions['audit']>,
  stack: AsyncDisposableStack,
): Promise<Auditor> {
  const log = stack.use(await AuditLog.open(deps, path));
  return auditor(deps.clock, policy, (event) => log.write(event));
}

function requestHandler(
  deps: ApiServerDeps & {
    readonly audit: Auditor | undefined;
    readonly kubelets: KubeletAccess;
    readonly queue: FairQueue;
  },
  core: Core,
  access: Access,
  drain: Drain,
  address: () => string,
): ApiHandler {
  const nowMs = (): number => core.clock.monotonicMs();
  const { queue } = deps;
  const { streams, proxy, metrics } = deps.kubelets;
  const subresources = new Map<string, SubresourceHandler>([
    ['*/status', statusHandler],
    ['*/scale', scaleHandler],
    ['/namespaces/finalize', finalizeHandler],
    ['/pods/binding', bindingHandler],
    ['/pods/ephemeralcontainers', ephemeralContainersHandler],
    ['/pods/resize', resizeHandler],
    ['/pods/eviction', evictionHandler],
    ['/pods/log', logHandler(streams)],
    ['/pods/exec', execHandler(streams, 'exec')],
    ['/pods/attach', execHandler(streams, 'attach')],
    ['/pods/portforward', portForwardHandler(streams)],
    ['/pods/proxy', proxy],
    ['/services/proxy', proxy],
    ['/nodes/proxy', proxy],
    ['/serviceaccounts/token', tokenRequestHandler(access.tokens)],
    ['certificates.k8s.io/certificatesigningrequests/approval', approvalHandler],
  ]);
  const virtual = new Map([
    ...access.reviews,
    ...metrics,
    ...systemHandlers(core.clock.nowMs()),
    ['/Binding', collectionBinding] as const,
  ]);
  const checks = { ping: () => undefined };
  return createHandler(
    {
      routes: { core, subresources, virtual },
      verifiers: access.verifiers,
      authorize: access.authorize,
      paths: [
        discoveryPaths(core.registry, address),
        openApiPaths(core.registry, () => core.clock.nowMs()),
        issuerPaths(access.tokens),
        healthPaths({ metrics: deps.metrics, checks, builtAt: '', platform: '' }),
      ],
      drain,
      ...(deps.audit && { audit: deps.audit }),
      impersonate: access.impersonate,
      observe: requestMetrics(deps.metrics, { hub: core.objects.hub, queue }, nowMs),
      admitRequest: (user) => queue.enter(user.username),
      nextSlice: (user) => queue.slice(user.username),
    },
    nowMs,
  );
}
