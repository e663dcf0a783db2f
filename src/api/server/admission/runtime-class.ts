import {
  arrayAt,
  equalJson,
  isObject,
  type JsonObject,
  objectAt,
  stringAt,
  textOf,
} from '../../kinds/json-value.ts';
import type { Core } from '../verbs/context.ts';
import { forbidden } from '../status.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { isNewPod, objectOf } from './objects.ts';

const GROUP = 'node.k8s.io';

/** What the RuntimeClass of a new pod adds to it: overhead, node selector, tolerations. The class must be there. */
export function runtimeClassAdmission(core: Core): AdmissionPlugin {
  return {
    name: 'RuntimeClass',
    admit(request) {
      if (!isNewPod(request)) return;
      const spec = request.object?.['spec'];
      if (isObject(spec)) addClass(core, request, spec);
    },
  };
}

function addClass(core: Core, request: AdmissionRequest, spec: JsonObject): void {
  const name = stringAt(spec, 'runtimeClassName');
  const refuse = (why: string): never => {
    throw forbidden(request.kind, request.name, `pod rejected: ${why}`);
  };
  const found = name === '' ? undefined : objectOf(core, GROUP, 'runtimeclasses', '', name);
  if (name !== '' && !found) refuse(`RuntimeClass ${JSON.stringify(name)} not found`);
  const overhead = objectAt(found, 'overhead')['podFixed'];
  if (isObject(overhead)) {
    if (isObject(spec['overhead']) && !equalJson(spec['overhead'], overhead))
      refuse("Pod's Overhead doesn't match RuntimeClass's defined Overhead");
    spec['overhead'] = { ...overhead };
  } else if (isObject(spec['overhead'])) {
    refuse('Pod Overhead set without corresponding RuntimeClass defined Overhead');
  }
  const scheduling = objectAt(found, 'scheduling');
  const own = objectAt(spec, 'nodeSelector');
  for (const [key, value] of Object.entries(objectAt(scheduling, 'nodeSelector'))) {
    if (own[key] === undefined || own[key] === value) continue;
    const said = `pod.spec.nodeSelector[${key}] = ${textOf(own[key])}`;
    refuse(`conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${textOf(value)}; ${said}`);
  }
  if (isObject(scheduling['nodeSelector'])) spec['nodeSelector'] = { ...own, ...scheduling['nodeSelector'] };
  const tolerations = arrayAt(scheduling, 'tolerations');
  if (tolerations.length > 0) spec['tolerations'] = [...arrayAt(spec, 'tolerations'), ...tolerations];
}
