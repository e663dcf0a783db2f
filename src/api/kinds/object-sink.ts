import type { KubeObject } from './meta.ts';

/**
 * Where object changes flow to: trackers implement it, informers and manifest folders feed it. Calls are
 * synchronous, cheap and must not throw on odd objects (count and log instead): they only record what changed.
 * `upsert` may repeat an unchanged object; `remove` may name an unknown one.
 */
export interface ObjectSink {
  upsert(object: KubeObject): void;
  remove(object: KubeObject): void;
  /** Called once per kind after the first complete list has been delivered. */
  synced(apiVersion: string, kind: string): void;
}
