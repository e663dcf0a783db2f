import type { NodeSettings, NodeView, NodeViewChanges, ServicePortView } from './node-view.ts';
import { type IsOut, samePortView, servicePortViews, withoutDead } from './port-views.ts';
import type { SnapshotSource } from './snapshot.ts';

/** What a refresh brought: the keys that differ and the values they had before. */
export interface NodeViewDelta {
  readonly view: NodeView;
  readonly changes: NodeViewChanges;
  /** The values before, of keys replaced or removed. */
  readonly previous: ReadonlyMap<string, ServicePortView>;
}

/**
 * Follows a Snapshot for one node and family. Pull-based: `refresh` brings the view up to the newest snapshot at
 * the cost of the services that changed since the last call, so that a slow reader merges what it missed.
 */
export class NodeViewTracker {
  readonly #source: SnapshotSource;
  readonly #isOut: IsOut | undefined;
  readonly #marked = new Set<string>();
  readonly #ports = new Map<string, ServicePortView>();
  readonly #keysOfService = new Map<string, readonly string[]>();
  #node: NodeSettings;
  #view: NodeView;
  #seen = 0;
  #rebuild = true;

  /** `isOut` leaves endpoints out that somebody found dead; `mark` services when its answers change. */
  constructor(source: SnapshotSource, node: NodeSettings, isOut?: IsOut) {
    this.#source = source;
    this.#isOut = isOut;
    this.#node = node;
    this.#view = { version: 0, node, ports: this.#ports };
  }

  get view(): NodeView {
    return this.#view;
  }

  /** The next refresh looks at every service with these settings. */
  reconfigure(node: NodeSettings): void {
    this.#node = node;
    this.#rebuild = true;
  }

  /** The next refresh looks at these services (`namespace/name`) too. */
  mark(services: ReadonlySet<string>): void {
    for (const key of services) this.#marked.add(key);
  }

  refresh(): NodeViewDelta {
    const { snapshot } = this.#source;
    const since = this.#source.changesSince(this.#seen);
    const complete = since.complete && !this.#rebuild;
    const services = complete
      ? since.services
      : new Set([...this.#keysOfService.keys(), ...snapshot.services.keys()]);
    const previous = new Map<string, ServicePortView>();
    const changed = new Set<string>();
    for (const key of services) this.#refreshService(key, changed, previous);
    for (const key of this.#marked) if (!services.has(key)) this.#refreshService(key, changed, previous);
    this.#marked.clear();
    this.#seen = snapshot.version;
    this.#rebuild = false;
    if (changed.size > 0 || this.#view.node !== this.#node)
      this.#view = { version: this.#view.version + 1, node: this.#node, ports: this.#ports };
    return { view: this.#view, changes: { complete, ports: changed }, previous };
  }

  #refreshService(serviceKey: string, changed: Set<string>, previous: Map<string, ServicePortView>): void {
    const entry = this.#source.snapshot.services.get(serviceKey);
    const isOut = this.#isOut;
    const found = entry ? servicePortViews(entry, this.#node) : [];
    const views = isOut ? found.map((view) => withoutDead(view, isOut)) : found;
    const keys = views.map((view) => view.key);
    for (const key of this.#keysOfService.get(serviceKey) ?? []) {
      const before = this.#ports.get(key);
      if (keys.includes(key) || !before) continue;
      this.#ports.delete(key);
      changed.add(key);
      previous.set(key, before);
    }
    for (const view of views) {
      const before = this.#ports.get(view.key);
      if (before && samePortView(before, view)) continue;
      if (before) previous.set(view.key, before);
      this.#ports.set(view.key, view);
      changed.add(view.key);
    }
    if (keys.length > 0) this.#keysOfService.set(serviceKey, keys);
    else this.#keysOfService.delete(serviceKey);
  }
}
