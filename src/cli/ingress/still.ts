import { Tracker } from '../../../endpoints/tracker.ts';
import { StillIngress } from '../../../ingress/explain/still-ingress.ts';
import { silentLogger } from '../../base/log.ts';
import { systemClock } from '../../base/clock.ts';
import { Registry } from '../../base/metrics.ts';
import { type CliContext, EXIT_USAGE, ExitError } from '../context.ts';
import { controllerNameOf, type IngressObjectFlags } from './flags.ts';
import { connectIngressApi, openIngressSource } from './source.ts';

export interface LoadedIngress extends Disposable {
  readonly still: StillIngress;
  readonly tracker: Tracker;
  readonly classes: ReturnType<typeof classOptions>;
}

/** Reads the objects once and compiles them, without listening anywhere. */
export async function loadIngress(context: CliContext, flags: IngressObjectFlags): Promise<LoadedIngress> {
  const tracker = new Tracker({ log: context.log });
  const classes = classOptions(flags);
  const still = await StillIngress.open(
    {
      snapshots: tracker,
      clock: systemClock,
      // what is wrong is in the answers
      log: silentLogger,
      random: () => 0.5,
      // names are left to the running controller: nobody is asked for an explanation
      resolve: (name) => Promise.resolve({ addresses: [name], ttlSeconds: 300 }),
    },
    {
      ...classes,
      strict: flags.strict === true,
      statusAddresses: [],
      ...(flags.configmap !== undefined && { configMap: flags.configmap }),
    },
  );
  const metrics = new Registry();
  await using api = await connectIngressApi(context, flags);
  await using source = await openIngressSource(context, {
    flags,
    api,
    model: tracker,
    ingress: still,
    follow: false,
    metrics,
  });
  still.apply();
  await source.needSecrets(still.configuration.takeSecretReferences() ?? new Set());
  tracker.flush();
  return { still, tracker, classes, [Symbol.dispose]: () => still[Symbol.dispose]() };
}

function classOptions(flags: IngressObjectFlags): {
  readonly ingressClass: string;
  readonly controllerName: string;
  readonly watchWithoutClass: boolean;
  readonly applyDefaultClass: boolean;
} {
  return {
    ingressClass: flags.ingressClass,
    controllerName: controllerNameOf(flags),
    watchWithoutClass: flags.from !== undefined || flags.watchIngressWithoutClass === true,
    applyDefaultClass: flags.from !== undefined,
  };
}

/** Paths given as arguments count as --from. */
export function withPaths<F extends IngressObjectFlags>(flags: F, paths: readonly string[]): F {
  if (paths.length === 0) return flags;
  if (flags.kubeconfig !== undefined)
    throw new ExitError(EXIT_USAGE, 'give either manifests or --kubeconfig');
  return { ...flags, from: [...(flags.from ?? []), ...paths] };
}
