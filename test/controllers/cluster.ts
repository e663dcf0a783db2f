import { createApiClient } from '../../src/api/client/api-client.ts';
import type { ApiClient } from '../../src/api/client/client.ts';
import { type InformerFactory, openInformerFactory } from '../../src/api/client/informer-factory.ts';
import { resources } from '../../src/api/client/resources.ts';
import { secondTime } from '../../src/api/kinds/lease.ts';
import type { Condition } from '../../src/api/kinds/meta.ts';
import type { Node } from '../../src/api/kinds/node.ts';
import type { Pod } from '../../src/api/kinds/pod.ts';
import { ApiServer } from '../../src/api/server/server.ts';
import { createLogger, type LogRecord } from '../../src/base/log.ts';
import { Registry } from '../../src/base/metrics.ts';
import { type ControllersOptions, openControllers } from '../../src/controllers/open.ts';
import { openMemoryStore } from '../../src/store/memory-store.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { waitFor } from '../support/wait-for.ts';

/** How much time passes with each look of `eventually`. */
const TICK_MS = 20;
const TICKS_MAX = 500;

/** A real API server over the memory store, the controllers, and a clock the test turns. */
export class Cluster implements AsyncDisposable {
  readonly client: ApiClient;
  readonly clock: FakeClock;
  readonly informers: InformerFactory;
  readonly logs: LogRecord[];
  readonly metrics: Registry;
  readonly #owned: AsyncDisposableStack;
  #nextAddress = 1;

  static async open(options: ControllersOptions = {}): Promise<Cluster> {
    await using stack = new AsyncDisposableStack();
    const clock = new FakeClock();
    const logs: LogRecord[] = [];
    const log = createLogger((record) => logs.push(record), 'debug');
    const metrics = new Registry();
    const store = stack.use(openMemoryStore({ clock, log }));
    const server = stack.use(
      await ApiServer.open(
        { store, clock, log, metrics },
        {
          dataDir: undefined,
          serviceCidrs: ['10.96.0.0/16', 'fd00:96::/112'],
          nodePortRange: { from: 30000, to: 32767 },
        },
      ),
    );
    const identity = { username: 'system:admin', groups: ['system:masters'] };
    const client = createApiClient(server.exchange(identity), { clock });
    let seed = 1;
    const random = (): number => (seed = (seed * 16807) % 2147483647) / 2147483647;
    const deps = { client, clock, log, random, metrics };
    const informers = stack.use(openInformerFactory(client, deps));
    stack.use(await openControllers({ ...deps, informers }, options));
    return new Cluster({ client, clock, informers, logs, metrics }, stack.move());
  }

  private constructor(
    parts: Pick<Cluster, 'client' | 'clock' | 'informers' | 'logs' | 'metrics'>,
    owned: AsyncDisposableStack,
  ) {
    this.client = parts.client;
    this.clock = parts.clock;
    this.informers = parts.informers;
    this.logs = parts.logs;
    this.metrics = parts.metrics;
    this.#owned = owned;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#owned.disposeAsync();
  }

  async node(
    name: string,
    extra: { labels?: Record<string, string>; spec?: Node['spec']; cpu?: string } = {},
  ): Promise<Node> {
    const node: Node = {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name, ...(extra.labels && { labels: extra.labels }) },
      ...(extra.spec && { spec: extra.spec }),
    };
    await this.client.create<Node>(resources.nodes, node);
    // What the lifecycle controller does once the node is ready.
    const spec = { taints: extra.spec?.taints ?? null };
    const made = await this.client.patch<Node>(resources.nodes, name, undefined, 'merge', { spec });
    const status: Node['status'] = {
      allocatable: { cpu: extra.cpu ?? '4', memory: '8Gi', pods: '110' },
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: secondTime(this.clock.nowMs()) }],
    };
    return await this.client.update<Node>(resources.nodes, { ...made, status }, { subresource: 'status' });
  }

  pods(namespace = 'default', labels?: Record<string, string>): Promise<Pod[]> {
    const labelSelector = Object.entries(labels ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .join(',');
    return this.client
      .list<Pod>(resources.pods, { namespace, ...(labelSelector && { labelSelector }) })
      .then((list) => [...list.items]);
  }

  /** Plays the kubelet for one pod: an address, running, ready or not. */
  async setReady(pod: Pod, ready = true): Promise<void> {
    const { name, namespace } = pod.metadata;
    const fresh = await this.client.get<Pod>(resources.pods, name, namespace);
    const lastTransitionTime = secondTime(this.clock.nowMs());
    const condition: Condition = { type: 'Ready', status: ready ? 'True' : 'False', lastTransitionTime };
    const podIP = fresh.status?.podIP ?? this.#address();
    const status: Pod['status'] = {
      ...fresh.status,
      phase: 'Running',
      podIP,
      podIPs: [{ ip: podIP }],
      conditions: [...(fresh.status?.conditions ?? []).filter(({ type }) => type !== 'Ready'), condition],
    };
    await this.client.update(resources.pods, { ...fresh, status }, { subresource: 'status' });
  }

  /** Plays the kubelet for all pods of the namespace until disposed: makes them ready, ends the deleted ones. */
  kubelet(namespace = 'default', accept: (pod: Pod) => boolean = () => true): Disposable {
    const pods = this.informers.informer<Pod>(resources.pods);
    return pods.subscribe(({ type, object }) => {
      if (type === 'deleted' || object.metadata.namespace !== namespace) return;
      if (object.metadata.deletionTimestamp) void this.finish(object).catch(() => {});
      else if (!object.status?.podIP && accept(object)) void this.setReady(object).catch(() => {});
    });
  }

  async finish(pod: Pod): Promise<void> {
    const { name, namespace } = pod.metadata;
    await this.client.delete(resources.pods, name, namespace, { gracePeriodSeconds: 0 });
  }

  /** Waits for the condition; time passes slowly meanwhile, so that retries happen. */
  eventually<T>(
    description: string,
    condition: () => Promise<T | undefined | false> | T | undefined | false,
  ): Promise<T> {
    const tick = async (): Promise<T | undefined | false> => {
      const look = { pending: true };
      const value = Promise.resolve(condition()).finally(() => (look.pending = false));
      value.catch(() => {}); // waitFor hears of it below
      // The server's own waits (a read that must see a write) need time to pass, too.
      for (let i = 0; i === 0 || (look.pending && i < TICKS_MAX); i++) await this.clock.advance(TICK_MS);
      return await value;
    };
    return waitFor(description, tick, 60_000);
  }

  #address(): string {
    const number = this.#nextAddress++;
    return `10.244.${number >> 8}.${number & 255}`;
  }
}
