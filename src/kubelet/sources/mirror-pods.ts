import { type Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import { type ApiClient, ApiError } from '../../api/client/client.ts';
import { resources } from '../../api/client/resources.ts';
import type { Pod, PodStatus } from '../../api/kinds/pod.ts';
import type { Node } from '../../api/kinds/node.ts';
import { MIRROR_ANNOTATION } from './static-pods.ts';
import type { StatusReporter } from '../pods/status-reporter.ts';

interface MirrorDeps {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly reporter: StatusReporter;
}

const RETRY_MS = 5_000;

export function isMirror(pod: Pod): boolean {
  return pod.metadata.annotations?.[MIRROR_ANNOTATION] !== undefined;
}

/**
 * Shows static pods in the API: a mirror object each, made again whenever somebody deletes it, replaced when the
 * file changes. Deleting a mirror never touches the pod.
 */
export class MirrorPods implements Disposable {
  readonly #deps: MirrorDeps;
  readonly #nodeName: string;
  readonly #statics = new Map<string, { pod: Pod; status: PodStatus | undefined }>();
  readonly #mirrors = new Map<string, Pod>();
  readonly #busy = new Set<string>();
  /** Keys that changed while they were worked on. */
  readonly #again = new Set<string>();
  readonly #timers = new Map<string, Disposable>();
  #disposed = false;

  constructor(deps: MirrorDeps, options: { readonly nodeName: string }) {
    this.#deps = deps;
    this.#nodeName = options.nodeName;
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    for (const timer of this.#timers.values()) timer[Symbol.dispose]();
  }

  /** True for a uid that is a static pod's, not an API object's. */
  owns(uid: string): boolean {
    return Array.from(this.#statics.values()).some(({ pod }) => pod.metadata.uid === uid);
  }

  addStatic(pod: Pod): void {
    this.#statics.set(keyOf(pod), { pod, status: undefined });
    void this.#sync(keyOf(pod));
  }

  removeStatic(pod: Pod): void {
    if (this.#statics.get(keyOf(pod))?.pod.metadata.uid === pod.metadata.uid)
      this.#statics.delete(keyOf(pod));
    void this.#sync(keyOf(pod));
  }

  setStatus(pod: Pod, status: PodStatus): void {
    const entry = this.#statics.get(keyOf(pod));
    if (!entry || entry.pod.metadata.uid !== pod.metadata.uid) return;
    entry.status = status;
    this.#report(keyOf(pod));
  }

  /** The mirror as the API has it now; undefined when it is gone. */
  observe(key: string, mirror: Pod | undefined): void {
    if (mirror) this.#mirrors.set(key, mirror);
    else this.#mirrors.delete(key);
    void this.#sync(key);
  }

  async #sync(key: string): Promise<void> {
    if (this.#disposed) return;
    if (this.#busy.has(key)) return void this.#again.add(key);
    this.#busy.add(key);
    try {
      await this.#reconcile(key);
    } catch (error) {
      if (this.#disposed) return;
      this.#deps.log.debug('mirror pod not written', { pod: key, reason: messageOf(error) });
      this.#timers.get(key)?.[Symbol.dispose]();
      this.#timers.set(
        key,
        this.#deps.clock.setTimer(RETRY_MS, () => void this.#sync(key)),
      );
    } finally {
      this.#busy.delete(key);
    }
    if (this.#again.delete(key)) return await this.#sync(key);
    this.#report(key);
  }

  async #reconcile(key: string): Promise<void> {
    const wanted = this.#statics.get(key)?.pod;
    const present = this.#mirrors.get(key);
    const current = wanted && present?.metadata.annotations?.[MIRROR_ANNOTATION] === wanted.metadata.uid;
    if (present && !current) await this.#remove(present);
    else if (wanted && present?.metadata.deletionTimestamp) await this.#remove(present);
    else if (wanted && !present) await this.#create(wanted);
  }

  /** The watch tells when it is gone; then `observe` makes the next one. */
  async #remove(mirror: Pod): Promise<void> {
    const { name, namespace = '', uid = '' } = mirror.metadata;
    await this.#deps.reporter.remove({ name, namespace, uid });
  }

  async #create(pod: Pod): Promise<void> {
    const { client } = this.#deps;
    const node = await client.get<Node>(resources.nodes, this.#nodeName);
    const { uid = '', ...metadata } = pod.metadata;
    const mirror: Pod = {
      ...pod,
      metadata: {
        ...metadata,
        annotations: { ...metadata.annotations, [MIRROR_ANNOTATION]: uid },
        ownerReferences: [
          {
            apiVersion: 'v1',
            kind: 'Node',
            name: this.#nodeName,
            uid: node.metadata.uid ?? '',
            controller: true,
          },
        ],
      },
    };
    try {
      await client.create<Pod>(resources.pods, mirror);
    } catch (error) {
      if (!(error instanceof ApiError) || error.reason !== 'AlreadyExists') throw error;
    }
  }

  #report(key: string): void {
    const status = this.#statics.get(key)?.status;
    const mirror = this.#mirrors.get(key);
    if (!status || !mirror || mirror.metadata.deletionTimestamp) return;
    const { name, namespace = '', uid = '' } = mirror.metadata;
    this.#deps.reporter.report({ name, namespace, uid }, status);
  }
}

function keyOf(pod: Pod): string {
  return `${pod.metadata.namespace ?? ''}/${pod.metadata.name}`;
}
