import { Tracker } from '../../../endpoints/tracker.ts';
import type { KubeObject } from '../../../src/api/kinds/meta.ts';
import { silentLogger } from '../../../src/base/log.ts';

export interface ClusterOptions {
  readonly pods?: boolean;
  /** Default true: the first complete lists have arrived. */
  readonly synced?: boolean;
}

/** A tracker that has seen these objects. */
export function clusterOf(objects: readonly KubeObject[], options: ClusterOptions = {}): Tracker {
  const tracker = new Tracker({ log: silentLogger }, { pods: options.pods ?? true });
  for (const object of objects) tracker.upsert(object);
  if (options.synced ?? true) {
    tracker.synced('v1', 'Service');
    tracker.synced('discovery.k8s.io/v1', 'EndpointSlice');
  }
  tracker.flush();
  return tracker;
}
