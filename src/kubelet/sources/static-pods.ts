import { createHash } from 'node:crypto';
import { type FSWatcher, mkdirSync, readdirSync, readFileSync, statSync, watch } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/fault.ts';
import type { Logger } from '../../base/log.ts';
import type { Pod } from '../../api/kinds/pod.ts';
import { STATIC_POD_FILE_MAX_BYTES, STATIC_POD_SCAN_MS } from '../limits.ts';

interface StaticDeps {
  readonly clock: Clock;
  readonly log: Logger;
  onPod(pod: Pod): void;
  onGone(pod: Pod): void;
}

export const MIRROR_ANNOTATION = 'kubernetes.io/config.mirror';
const SOURCE_ANNOTATION = 'kubernetes.io/config.source';
const HASH_ANNOTATION = 'kubernetes.io/config.hash';
/** A burst of changes of the folder is read once, this long after its first. */
const SETTLE_MS = 50;

/**
 * A Pod of a manifest file as this node runs it: its name carries the node's, its uid is the content's hash,
 * so another content is another pod. Throws an Error that says what is wrong with the file.
 */
export function staticPod(text: string, options: { readonly file: string; readonly nodeName: string }): Pod {
  const content = parse(text) as Partial<Pod> | null;
  if (content?.kind !== 'Pod' || content.apiVersion !== 'v1') throw new Error('must be a v1 Pod');
  const { metadata, spec } = content;
  if (!metadata?.name || !isName(metadata.name)) throw new Error('metadata.name must be a DNS name');
  if (!spec || !Array.isArray(spec.containers) || spec.containers.length === 0) {
    throw new Error('spec.containers must not be empty');
  }
  const names = [...spec.containers, ...(spec.initContainers ?? [])].map((one) => one.name);
  if (!names.every((name) => isName(name))) throw new Error('each container needs a DNS label as its name');
  if (new Set(names).size !== names.length) throw new Error('container names must differ');
  const hash = createHash('md5').update(`${options.nodeName} ${options.file} ${text}`).digest('hex');
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...metadata,
      name: `${metadata.name}-${options.nodeName}`,
      namespace: metadata.namespace ?? 'default',
      uid: hash,
      annotations: { ...metadata.annotations, [SOURCE_ANNOTATION]: 'file', [HASH_ANNOTATION]: hash },
    },
    spec: { ...spec, nodeName: options.nodeName },
  };
}

function isName(name: unknown): boolean {
  return typeof name === 'string' && /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(name);
}

/** Follows a folder of manifests. A file that cannot be read as a pod is logged once and its last pod goes on. */
export class StaticPods implements Disposable {
  readonly #deps: StaticDeps;
  readonly #options: { readonly folder: string; readonly nodeName: string };
  readonly #pods = new Map<string, Pod>();
  readonly #failures = new Map<string, string>();
  readonly #watcher: FSWatcher;
  #timer: Disposable | undefined;
  #disposed = false;

  constructor(deps: StaticDeps, options: { readonly folder: string; readonly nodeName: string }) {
    this.#deps = deps;
    this.#options = options;
    mkdirSync(options.folder, { recursive: true });
    this.#watcher = watch(options.folder, () => this.#scanIn(SETTLE_MS));
    this.#watcher.on('error', (error) => deps.log.warn('static pod folder not watched', { error }));
    this.#scan();
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#watcher.close();
    this.#timer?.[Symbol.dispose]();
  }

  #scanIn(delayMs: number): void {
    if (this.#disposed) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#deps.clock.setTimer(delayMs, () => this.#scan());
  }

  #scan(): void {
    const { folder } = this.#options;
    const files = readdirSync(folder).filter((name) => /^[^.].*\.(ya?ml|json)$/.test(name));
    for (const [file, pod] of this.#pods) {
      if (files.includes(file)) continue;
      this.#pods.delete(file);
      this.#deps.onGone(pod);
    }
    for (const file of files) this.#read(file);
    this.#scanIn(STATIC_POD_SCAN_MS);
  }

  #read(file: string): void {
    const path = join(this.#options.folder, file);
    try {
      if (statSync(path).size > STATIC_POD_FILE_MAX_BYTES) throw new Error('the file is too large');
      const pod = staticPod(readFileSync(path, 'utf8'), { file, nodeName: this.#options.nodeName });
      this.#failures.delete(file);
      const present = this.#pods.get(file);
      if (present?.metadata.uid === pod.metadata.uid) return;
      this.#pods.set(file, pod);
      if (present) this.#deps.onGone(present);
      this.#deps.onPod(pod);
    } catch (error) {
      const reason = messageOf(error);
      if (this.#failures.get(file) === reason) return;
      this.#failures.set(file, reason);
      this.#deps.log.error('static pod refused', { file: path, reason });
    }
  }
}
