import { isObject, objectsAt } from '../../kinds/json-value.ts';
import type { AdmissionPlugin } from './admission.ts';
import { isNewPod } from './objects.ts';

const TOLERATION_SECONDS = 300;
const KEYS = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'] as const;

/** New pods bear a node that is not ready or not reachable for five minutes, unless they say otherwise. */
export const defaultTolerations: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  admit(request) {
    const spec = isNewPod(request) ? request.object?.['spec'] : undefined;
    if (!isObject(spec)) return;
    const own = objectsAt(spec, 'tolerations');
    const missing = KEYS.filter((key) => !own.some((one) => tolerates(one, key)));
    if (missing.length === 0) return;
    spec['tolerations'] = [
      ...own,
      ...missing.map((key) => ({
        key,
        operator: 'Exists',
        effect: 'NoExecute',
        tolerationSeconds: TOLERATION_SECONDS,
      })),
    ];
  },
};

function tolerates(toleration: Record<string, unknown>, key: string): boolean {
  const { key: own, effect } = toleration;
  return (own === key || !own) && (effect === 'NoExecute' || !effect);
}
