import { isObject, stringAt } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { ensureObject } from '../bootstrap/system-objects.ts';
import { forbidden } from '../status.ts';
import type { Core } from '../verbs/context.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { isNewPod, objectsOf } from './objects.ts';

const GROUP = 'scheduling.k8s.io';

/** Resolves the PriorityClass of a new pod to its number; a second globalDefault class is refused. */
export function priorityAdmission(core: Core): AdmissionPlugin {
  const classes = (): UnknownObject[] => objectsOf(core, GROUP, 'priorityclasses', '');
  return {
    name: 'Priority',
    admit(request) {
      if (!isNewPod(request)) return;
      const spec = request.object?.['spec'];
      if (isObject(spec)) resolve(request, spec, classes());
    },
    validate(request) {
      const { kind, object, name } = request;
      if (kind.group !== GROUP || kind.kind !== 'PriorityClass' || object?.['globalDefault'] !== true) return;
      const other = classes().find((one) => one['globalDefault'] === true && one.metadata.name !== name);
      if (!other) return;
      throw forbidden(
        kind,
        name,
        `PriorityClass ${other.metadata.name} is already marked as default. Only one default can exist`,
      );
    },
  };
}

function resolve(
  request: AdmissionRequest,
  spec: Record<string, unknown>,
  classes: readonly UnknownObject[],
): void {
  const asked = stringAt(spec, 'priorityClassName');
  const found = asked
    ? classes.find((one) => one.metadata.name === asked)
    : classes.find((one) => one['globalDefault'] === true);
  if (asked && !found) {
    throw forbidden(request.kind, request.name, `no PriorityClass with name ${asked} was found`);
  }
  const value = typeof found?.['value'] === 'number' ? found['value'] : 0;
  if (spec['priority'] !== undefined && spec['priority'] !== null && spec['priority'] !== value) {
    throw forbidden(
      request.kind,
      request.name,
      `the integer value of priority (${JSON.stringify(spec['priority'])}) must not be provided in pod spec; priority admission controller computed ${value} from the given PriorityClass name`,
    );
  }
  spec['priority'] = value;
  if (found) spec['priorityClassName'] = found.metadata.name;
  const policy = stringAt(found, 'preemptionPolicy') || 'PreemptLowerPriority';
  const given = stringAt(spec, 'preemptionPolicy');
  if (given !== '' && given !== policy) {
    throw forbidden(
      request.kind,
      request.name,
      `the string value of PreemptionPolicy (${given}) must not be provided in pod spec; priority admission controller computed ${policy} from the given PriorityClass name`,
    );
  }
  spec['preemptionPolicy'] = policy;
}

const SYSTEM_CLASSES = [
  [
    'system-node-critical',
    2_000_001_000,
    'Used for system critical pods that must not be moved from their current node.',
  ],
  [
    'system-cluster-critical',
    2_000_000_000,
    'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
  ],
] as const;

export async function ensurePriorityClasses(core: Core): Promise<void> {
  for (const [name, value, description] of SYSTEM_CLASSES) {
    await ensureObject(core, {
      kind: 'PriorityClass',
      apiVersion: `${GROUP}/v1`,
      metadata: { name, generation: 1 },
      value,
      description,
      preemptionPolicy: 'PreemptLowerPriority',
    });
  }
}
