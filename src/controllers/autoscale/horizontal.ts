import { ApiError } from '../../api/client/client.ts';
import { discoverResources } from '../../api/client/discovery.ts';
import { objectPath } from '../../api/client/paths.ts';
import { again, done } from '../../api/client/reconcile.ts';
import { resourceOfKind, resources } from '../../api/client/resources.ts';
import type { Resource } from '../../api/client/client.ts';
import type { HorizontalPodAutoscaler, MetricSpec, MetricTarget } from '../../api/kinds/autoscaler.ts';
import { secondTime } from '../../api/kinds/lease.ts';
import { type Condition, type KubeObject, objectKey } from '../../api/kinds/meta.ts';
import type { Pod } from '../../api/kinds/pod.ts';
import { messageOf } from '../../base/fault.ts';
import { sameValue } from '../../base/same-value.ts';
import { withCondition } from '../conditions.ts';
import { type ControllerContext, openLoop, splitKey, together } from '../context.ts';
import { AUTOSCALE_INTERVAL_MS } from '../limits.ts';
import { type Measured, replicasFor, unitsOf } from './replica-count.ts';
import { ScalingHistory } from './scaling-rules.ts';

const METRICS_API = '/apis/metrics.k8s.io/v1beta1';

interface Scale extends KubeObject {
  spec?: { replicas?: number };
  status?: { replicas?: number; selector?: string };
}

interface PodMetricsList {
  readonly items?: readonly {
    readonly metadata: { readonly name: string };
    readonly containers?: readonly { readonly name: string; readonly usage?: Record<string, string> }[];
  }[];
}

type Status = NonNullable<HorizontalPodAutoscaler['status']>;

/** One look at one autoscaler: the conditions it collects and what it wants. */
class Look {
  readonly context: ControllerContext;
  readonly scaler: HorizontalPodAutoscaler;
  #conditions: Condition[];

  constructor(context: ControllerContext, scaler: HorizontalPodAutoscaler) {
    this.context = context;
    this.scaler = scaler;
    this.#conditions = [...(scaler.status?.conditions ?? [])];
  }

  get conditions(): Condition[] {
    return this.#conditions;
  }

  set(type: string, status: 'True' | 'False', reason: string, message: string): void {
    const condition: Condition = { type, status, reason, message };
    this.#conditions = withCondition(this.#conditions, condition, this.context.clock.nowMs());
  }

  warn(reason: string, message: string): void {
    this.context.events.record(this.scaler, 'Warning', reason, message);
  }
}

/** Scales what has a scale subresource by cpu and memory of its pods, as metrics.k8s.io reports them. */
export function openHorizontalAutoscaler(context: ControllerContext): AsyncDisposable {
  const scalers = context.informers.informer<HorizontalPodAutoscaler>(resources.horizontalPodAutoscalers);
  const histories = new Map<string, ScalingHistory>();
  const loop = openLoop(context, 'horizontal-autoscaler', async (key) => {
    const { namespace, name } = splitKey(key);
    const scaler = scalers.get(namespace, name);
    if (!scaler) {
      histories.delete(key);
      return done;
    }
    const history = histories.get(key) ?? new ScalingHistory();
    histories.set(key, history);
    await lookAt(new Look(context, scaler), history);
    return again(AUTOSCALE_INTERVAL_MS);
  });
  return together(
    loop,
    scalers.subscribe((event) => {
      if (event.type !== 'updated' || !sameValue(event.old.spec, event.object.spec))
        loop.add(objectKey(event.object));
    }),
  );
}

const LIMIT_MESSAGES: Readonly<Record<string, string>> = {
  TooManyReplicas: 'the desired replica count is more than the maximum replica count',
  TooFewReplicas: 'the desired replica count is less than the minimum replica count',
  ScaleUpLimit: 'the desired replica count is increasing faster than the maximum scale rate',
  ScaleDownLimit: 'the desired replica count is decreasing faster than the maximum scale rate',
};

async function lookAt(look: Look, history: ScalingHistory): Promise<void> {
  const { scaler, context } = look;
  const target = await scaleOf(look);
  if (!target) return await writeStatus(look, {});
  const current = target.scale.spec?.replicas ?? 0;
  const observed = { currentReplicas: target.scale.status?.replicas ?? current, desiredReplicas: current };
  if (current === 0) {
    look.set(
      'ScalingActive',
      'False',
      'ScalingDisabled',
      'scaling is disabled since the replica count of the target is zero',
    );
    return await writeStatus(look, observed);
  }
  const wish = await recommendation(look, target.scale, current);
  if (!wish) return await writeStatus(look, observed);
  const nowMs = context.clock.nowMs();
  const { replicas, limit } = history.limited(scaler, { current, recommended: wish.replicas, nowMs });
  if (limit) look.set('ScalingLimited', 'True', limit, LIMIT_MESSAGES[limit] ?? '');
  else
    look.set(
      'ScalingLimited',
      'False',
      'DesiredWithinRange',
      'the desired count is within the acceptable range',
    );
  if (replicas !== current) {
    const scale: Scale = { ...target.scale, spec: { ...target.scale.spec, replicas } };
    await context.client.update<Scale>(target.resource, scale, { subresource: 'scale' });
    history.changed(replicas - current, nowMs);
    context.events.record(
      scaler,
      'Normal',
      'SuccessfulRescale',
      `New size: ${replicas}; reason: ${wish.reason}`,
    );
    look.set(
      'AbleToScale',
      'True',
      'SucceededRescale',
      `the HPA controller was able to update the target scale to ${replicas}`,
    );
  } else look.set('AbleToScale', 'True', 'ReadyForNewScale', 'recommended size matches current size');
  await writeStatus(look, {
    ...observed,
    desiredReplicas: replicas,
    currentMetrics: wish.metrics,
    ...(replicas !== current && { lastScaleTime: secondTime(nowMs) }),
  });
}

async function scaleOf(look: Look): Promise<{ resource: Resource; scale: Scale } | undefined> {
  const { scaler, context } = look;
  const { apiVersion = 'apps/v1', kind, name } = scaler.spec.scaleTargetRef;
  try {
    const resource = resourceOfKind(apiVersion, kind) ?? (await customResource(context, apiVersion, kind));
    if (!resource) throw new ApiError(404, 'NotFound', `no matches for kind "${kind}" in "${apiVersion}"`);
    const path = `${objectPath(resource, name, scaler.metadata.namespace)}/scale`;
    const scale = await context.client.read<Scale>(path);
    look.set(
      'AbleToScale',
      'True',
      'SucceededGetScale',
      "the HPA controller was able to get the target's current scale",
    );
    return { resource, scale };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const message = `the HPA controller was unable to get the target's current scale: ${messageOf(error)}`;
    look.warn('FailedGetScale', messageOf(error));
    look.set('AbleToScale', 'False', 'FailedGetScale', message);
    return undefined;
  }
}

async function customResource(
  { client }: ControllerContext,
  apiVersion: string,
  kind: string,
): Promise<Resource | undefined> {
  const found = await discoverResources(client);
  return found.find((one) => one.kind === kind && `${one.group}/${one.version}` === apiVersion);
}

interface Wish {
  readonly replicas: number;
  readonly reason: string;
  readonly metrics: unknown[];
}

/** The largest answer of all metrics; while one of them is silent nothing is scaled down. */
async function recommendation(look: Look, scale: Scale, current: number): Promise<Wish | undefined> {
  const metrics: unknown[] = [];
  let best: { replicas: number; name: string } | undefined;
  let failure: { reason: string; message: string } | undefined;
  for (const spec of look.scaler.spec.metrics ?? []) {
    const { name, measured } = await measure(look, spec, scale, current);
    if (typeof measured === 'string') {
      failure ??= { reason: failureReason(spec), message: measured };
      continue;
    }
    metrics.push(currentMetric(spec, measured));
    if (!best || measured.replicas > best.replicas) best = { replicas: measured.replicas, name };
  }
  if (failure) {
    const message = `the HPA was unable to compute the replica count: ${failure.message}`;
    look.warn(failure.reason, failure.message);
    if (!best || best.replicas <= current) {
      look.set('ScalingActive', 'False', failure.reason, message);
      return undefined;
    }
  }
  if (!best) return undefined;
  look.set(
    'ScalingActive',
    'True',
    'ValidMetricFound',
    `the HPA was able to successfully calculate a replica count from ${best.name}`,
  );
  const direction = best.replicas > current ? 'above' : 'below';
  return { replicas: best.replicas, reason: `${best.name} ${direction} target`, metrics };
}

function failureReason({ type }: MetricSpec): string {
  return type === 'Resource' || type === 'ContainerResource'
    ? `FailedGet${type}Metric`
    : 'InvalidMetricSourceType';
}

async function measure(
  look: Look,
  spec: MetricSpec,
  scale: Scale,
  currentReplicas: number,
): Promise<{ name: string; measured: Measured | string }> {
  const source = spec.type === 'ContainerResource' ? spec.containerResource : spec.resource;
  if (!source) return { name: '', measured: `metrics of type ${spec.type} are not supported` };
  const container = spec.containerResource?.container;
  const { name: resource, target } = source;
  const name = `${resource} ${container ? 'container ' : ''}resource${target.type === 'Utilization' ? ' utilization (percentage of request)' : ''}`;
  const namespace = look.scaler.metadata.namespace ?? '';
  const labelSelector = scale.status?.selector ?? '';
  if (labelSelector === '') return { name, measured: "the target's scale has no selector" };
  try {
    const usage = await podUsage(look.context, { namespace, labelSelector, resource, container });
    const { items: pods } = await look.context.client.list<Pod>(resources.pods, { namespace, labelSelector });
    const question = { pods, usage, resource, target, currentReplicas };
    return { name, measured: replicasFor({ ...question, ...(container !== undefined && { container }) }) };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { name, measured: `unable to fetch metrics from resource metrics API: ${messageOf(error)}` };
  }
}

async function podUsage(
  { client }: ControllerContext,
  of: { namespace: string; labelSelector: string; resource: string; container: string | undefined },
): Promise<Map<string, number>> {
  const query = `labelSelector=${encodeURIComponent(of.labelSelector)}`;
  const list = await client.read<PodMetricsList>(`${METRICS_API}/namespaces/${of.namespace}/pods?${query}`);
  const usage = new Map<string, number>();
  for (const { metadata, containers = [] } of list.items ?? []) {
    const wanted = containers.filter(({ name }) => of.container === undefined || name === of.container);
    const amounts = wanted.map((one) => unitsOf(one.usage?.[of.resource]));
    if (amounts.length === 0 || amounts.includes(undefined)) continue;
    usage.set(
      metadata.name,
      amounts.reduce<number>((sum, one) => sum + (one ?? 0), 0),
    );
  }
  return usage;
}

function currentMetric(spec: MetricSpec, { utilization, average }: Measured): unknown {
  const source = spec.containerResource ?? spec.resource;
  const target: MetricTarget | undefined = source?.target;
  const current = {
    ...(target?.type === 'Utilization' && { averageUtilization: utilization }),
    averageValue: source?.name === 'cpu' ? `${Math.ceil(average * 1000)}m` : String(Math.ceil(average)),
  };
  const { container } = spec.containerResource ?? {};
  const name = spec.type === 'ContainerResource' ? 'containerResource' : 'resource';
  return { type: spec.type, [name]: { name: source?.name, ...(container && { container }), current } };
}

async function writeStatus({ scaler, context, conditions }: Look, change: Status): Promise<void> {
  const status: Status = {
    ...scaler.status,
    ...change,
    observedGeneration: scaler.metadata.generation ?? 0,
    conditions,
  };
  if (sameValue(scaler.status, status)) return;
  await context.client.update(
    resources.horizontalPodAutoscalers,
    { ...scaler, status },
    { subresource: 'status' },
  );
}
