import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { Tracker } from '../../../endpoints/tracker.ts';
import type { AnnotationReport } from '../../../ingress/configuration.ts';
import { Challenges } from '../../../ingress/acme/challenges.ts';
import { IngressController } from '../../../ingress/controller.ts';
import type { IngressDeps } from '../../../ingress/controller-options.ts';
import { LineBuffer } from '../../../ingress/observe/line-buffer.ts';
import { openEventRecorder } from '../../api/client/event-recorder.ts';
import { openLeaderElection } from '../../api/client/leader-election.ts';
import type { ReconcilerDeps } from '../../api/client/reconcile.ts';
import type { Ingress } from '../../api/kinds/ingress.ts';
import { systemClock } from '../../base/clock.ts';
import { Registry } from '../../base/metrics.ts';
import { joinHostPort } from '../../net/ip.ts';
import { ingressReporter, IngressStatusWriter } from '../../node/ingress/ingress-status.ts';
import { LazyResolver } from '../../node/dns/lazy-resolver.ts';
import { followPublishedService } from '../../node/ingress/published-service.ts';
import { registerBuildInfo } from '../build-info.ts';
import type { CliContext, RegisterCommand } from '../context.ts';
import { type Acme, addAcmeFlags, openAcme } from './acme.ts';
import { addCheck } from './check.ts';
import { addDiff } from './diff.ts';
import { addExplain } from './explain.ts';
import {
  addObjectFlags,
  addServeFlags,
  controllerNameOf,
  type IngressFlags,
  listenAddresses,
  ownAddresses,
  statusEntries,
} from './flags.ts';
import { openHealthPage } from './health-page.ts';
import { connectIngressApi, type IngressApi, type IngressSource, openIngressSource } from './source.ts';
import { type ListenFlag, startFault } from '../start-fault.ts';
import { stopped } from '../stopped.ts';

const EXAMPLES = `
Examples:
  weft ingress --kubeconfig ~/.kube/config --publish-service ingress/edge
  weft ingress --from manifests/ --http 127.0.0.1:8080 --https 127.0.0.1:8443
  curl -H 'Host: shop.example' http://127.0.0.1:8080/

In a pod it takes the place of ingress-nginx with the same IngressClass and ConfigMap (deploy/kubernetes).
SIGTERM stops accepting, finishes what is under way and ends.`;

export const register: RegisterCommand = (program, context) => {
  const command = program
    .command('ingress')
    .description('ingress controller in the place of ingress-nginx, with the same objects')
    .enablePositionalOptions();
  addAcmeFlags(addServeFlags(addObjectFlags(command)))
    .addHelpText('after', EXAMPLES)
    .action((flags: IngressFlags) => run(flags, context));
  addExplain(command, context);
  addCheck(command, context);
  addDiff(command, context);
};

async function run(flags: IngressFlags, context: CliContext): Promise<void> {
  const { log } = context;
  const metrics = new Registry();
  registerBuildInfo(metrics, 'ingress');
  const deps = { clock: systemClock, log, metrics, random: Math.random };
  await using stack = new AsyncDisposableStack();
  const api = await connectIngressApi(context, flags);
  if (api) stack.use(api);
  const challenges = new Challenges();
  const held: { controller?: IngressController } = {};
  const acme = await openAcme({ ...deps, challenges }, flags, api, {
    namespace: context.env['POD_NAMESPACE'] ?? api?.namespace ?? 'default',
    changed: (secret) => held.controller?.upsert(secret),
  });
  if (acme) stack.use(acme);
  const status = api && openStatus(deps, flags, context, api, stack, acme);
  const tracker = new Tracker({ log, metrics });
  const resolver = stack.use(new LazyResolver({ ...deps, snapshots: tracker }));
  const lines = stack.use(
    new LineBuffer({ clock: systemClock, write: (text) => context.stdout.write(text) }),
  );
  const secrets: { keys: ReadonlySet<string>; source?: IngressSource } = { keys: new Set() };
  const controller = await openController(
    {
      ...deps,
      snapshots: tracker,
      resolve: (name) => resolver.resolve(name),
      publishStatus: async (ingress, addresses) => status?.writer.want(ingress, addresses),
      accessLog: lines.push,
      challenges,
      ...(acme && { wantCertificates: (wanted) => acme.renewals.want(wanted) }),
      needSecrets: (keys) => {
        secrets.keys = keys;
        void secrets.source?.needSecrets(keys);
      },
      ...(status && { report: status.report }),
    },
    flags,
  );
  stack.use(controller);
  held.controller = controller;
  for (const secret of acme?.kept ?? []) controller.upsert(secret);
  const sinks = { model: tracker, ingress: controller };
  const source = stack.use(await openIngressSource(context, { flags, api, ...sinks, follow: true, metrics }));
  tracker.flush();
  await controller.settled();
  secrets.source = source;
  await source.needSecrets(secrets.keys);
  await controller.settled();
  if (api && flags.publishService !== undefined)
    stack.use(
      followPublishedService(api.client, flags.publishService, deps, (found) =>
        controller.publishAddresses(found),
      ),
    );
  if (acme && !status) stack.use(runUntilDisposed((signal) => acme.renewals.run(signal)));
  if (flags.healthzPort > 0) stack.use(await openPage(flags, context, controller, metrics));
  for (const { protocol, host, port } of controller.addresses)
    context.stdout.write(`${protocol} ${joinHostPort(host, port)}\n`);
  context.stdout.write('ready\n');
  await stopped(context.stop);
}

async function openController(deps: IngressDeps, flags: IngressFlags): Promise<IngressController> {
  const listens = listenAddresses(flags);
  const published = flags.publishStatusAddress ?? ownAddresses([...listens.http, ...listens.https]);
  const settled = flags.publishService !== undefined || !flags.updateStatus;
  try {
    return await IngressController.open(deps, {
      ...listens,
      engine: flags.engine,
      workers: flags.workers,
      ...(flags.workerCpus && { workerCpus: flags.workerCpus }),
      ingressClass: flags.ingressClass,
      controllerName: controllerNameOf(flags),
      watchWithoutClass: flags.from !== undefined || flags.watchIngressWithoutClass === true,
      applyDefaultClass: flags.from !== undefined,
      strict: flags.strict === true,
      statusAddresses: settled ? [] : statusEntries(published),
      settings: { accessLog: flags.accessLog ?? (flags.from ? 'off' : 'upstreaminfo') },
      streams: {
        host: streamHost(listens),
        tcpConfigMap: flags.tcpServicesConfigmap,
        udpConfigMap: flags.udpServicesConfigmap,
      },
      ...(flags.configmap !== undefined && { configMap: flags.configmap }),
      ...(flags.defaultSslCertificate !== undefined && { defaultCertificate: flags.defaultSslCertificate }),
    });
  } catch (error) {
    throw startFault(error, listenFlags(flags, listens));
  }
}

function listenFlags(flags: IngressFlags, { http, https }: ReturnType<typeof listenAddresses>): ListenFlag[] {
  return [
    ...http.map((at): ListenFlag => [flags.http ? '--http' : '--http-port', at]),
    ...https.map((at): ListenFlag => [flags.https ? '--https' : '--https-port', at]),
  ];
}

/** Exposed ports listen where HTTP listens. */
function streamHost({ http, https }: ReturnType<typeof listenAddresses>): string {
  return (http[0] ?? https[0])?.host ?? '::';
}

interface StatusOutput {
  readonly writer: IngressStatusWriter;
  readonly report: (ingress: Ingress, report: AnnotationReport) => void;
}

/** Statuses, conditions and events, written by the one process that holds the Lease. */
function openStatus(
  deps: ReconcilerDeps,
  flags: IngressFlags,
  { env }: CliContext,
  { client, namespace }: IngressApi,
  stack: AsyncDisposableStack,
  acme: Acme | undefined,
): StatusOutput {
  const elects = (flags.updateStatus || acme !== undefined) && flags.disableLeaderElection !== true;
  const lead = async (signal: AbortSignal): Promise<void> => {
    await Promise.all([flags.updateStatus && writer.lead(signal), acme?.renewals.run(signal)]);
  };
  const withClient = { ...deps, client };
  const identity = env['POD_NAME'] ?? `${hostname()}-${randomUUID().slice(0, 8)}`;
  const writer = stack.use(new IngressStatusWriter(withClient, { leading: flags.updateStatus && !elects }));
  const events = stack.use(openEventRecorder(withClient, { component: 'weft-ingress', host: identity }));
  const lease = { namespace: env['POD_NAMESPACE'] ?? namespace, name: flags.electionId, identity };
  if (elects) stack.use(openLeaderElection(withClient, lease, lead));
  else if (acme) stack.use(runUntilDisposed((signal) => acme.renewals.run(signal)));
  return { writer, report: ingressReporter(writer, events) };
}

/** Background work that ends when it is disposed. */
function runUntilDisposed(work: (signal: AbortSignal) => Promise<void>): AsyncDisposable {
  const abort = new AbortController();
  const working = work(abort.signal);
  return {
    async [Symbol.asyncDispose]() {
      abort.abort(new Error('stopped'));
      await working;
    },
  };
}

/** /healthz, /readyz and /metrics, as on ingress-nginx's port. */
async function openPage(
  flags: IngressFlags,
  context: CliContext,
  controller: IngressController,
  registry: Registry,
): Promise<AsyncDisposable> {
  const isReady = (): boolean => controller.ready && !context.stop.aborted;
  try {
    const page = await openHealthPage(
      { registry, isReady },
      { address: flags.healthzHost, port: flags.healthzPort },
    );
    context.stdout.write(`metrics ${joinHostPort(flags.healthzHost ?? '::', page.port)}\n`);
    return page;
  } catch (error) {
    throw startFault(error, [
      ['--healthz-port', { host: flags.healthzHost ?? '::', port: flags.healthzPort }],
    ]);
  }
}
