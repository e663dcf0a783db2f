import type { KubeObject } from '../kinds/meta.ts';
import type { ObjectSink } from '../kinds/object-sink.ts';
import type { Informer } from './informer.ts';
import { apiVersionOf } from './paths.ts';

/** Feeds an informer's objects and changes to a sink, and tells it once when the first list is complete. */
export function feedSink<T extends KubeObject>(informer: Informer<T>, sink: ObjectSink): Disposable {
  let open = true;
  const subscription = informer.subscribe((event) => {
    if (event.type === 'deleted') sink.remove(event.object);
    else sink.upsert(event.object);
  });
  const { resource } = informer;
  informer.synced().then(
    () => open && sink.synced(apiVersionOf(resource), resource.kind),
    () => {}, // disposed before its first list: nothing to announce
  );
  return {
    [Symbol.dispose]() {
      open = false;
      subscription[Symbol.dispose]();
    },
  };
}
