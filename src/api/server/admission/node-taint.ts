import { ensureObject, objectsAt } from '../../kinds/json-value.ts';
import type { AdmissionPlugin } from './admission.ts';

const KEY = 'node.kubernetes.io/not-ready';
const EFFECT = 'NoSchedule';

/** A new node takes no pods until it is ready: the node lifecycle controller takes this taint off again. */
export const nodeTaint: AdmissionPlugin = {
  name: 'TaintNodesByCondition',
  admit({ kind, operation, object, subresource }) {
    if (kind.group !== '' || kind.kind !== 'Node' || operation !== 'CREATE' || !object || subresource) return;
    const spec = ensureObject(object, 'spec');
    if (!spec) return;
    const present = objectsAt(spec, 'taints');
    if (present.some(({ key, effect }) => key === KEY && effect === EFFECT)) return;
    spec['taints'] = [...present, { key: KEY, effect: EFFECT }];
  },
};
