import { type FieldError, forbidden, invalid } from '../field-error.ts';
import { parseCidr } from '../../../net/cidr.ts';
import { cidrText, dnsLabel, finalizerName, qualifiedName } from '../formats.ts';
import {
  arrayAt,
  ensureObject,
  type JsonObject,
  numberAt,
  objectAt,
  objectsAt,
  setDefault,
  stringAt,
} from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import { addTexts, oneOf } from './checks.ts';
import type { KindRules } from './kind-rules.ts';
import { TAINT_EFFECTS } from './pod/scheduling.ts';

/** Label every namespace carries, so that selectors can name it. */
const NAMESPACE_NAME_LABEL = 'kubernetes.io/metadata.name';

export const NAMESPACE_RULES: KindRules = {
  shortNames: ['ns'],
  nameRule: dnsLabel,
  selectable: { 'status.phase': 'status.phase' },
  defaults: (object) => {
    const status = ensureObject(object, 'status');
    if (status) setDefault(status, 'phase', 'Active');
    const metadata = object.metadata as unknown as JsonObject;
    const labels = typeof metadata?.['name'] === 'string' ? ensureObject(metadata, 'labels') : undefined;
    if (labels && metadata['name'] !== '') labels[NAMESPACE_NAME_LABEL] ??= metadata['name'];
  },
  prepareCreate: (object) => {
    object['status'] = { phase: 'Active' };
    const spec = ensureObject(object, 'spec');
    const finalizers = arrayAt(spec, 'finalizers');
    if (spec && !finalizers.includes('kubernetes')) spec['finalizers'] = [...finalizers, 'kubernetes'];
  },
  prepareUpdate: (object, old) => {
    const finalizers = objectAt(old, 'spec')['finalizers'];
    const spec = ensureObject(object, 'spec');
    if (spec && finalizers !== undefined) spec['finalizers'] = finalizers;
  },
  validate: (object) => {
    const errors: FieldError[] = [];
    for (const one of arrayAt(object['spec'], 'finalizers')) {
      addTexts(errors, 'spec.finalizers', one, qualifiedName(String(one)));
      addTexts(errors, 'spec.finalizers', one, finalizerName(String(one)));
    }
    return errors;
  },
};

function internalTaint(taint: JsonObject): JsonObject {
  const { key = '', value = '', effect = '', timeAdded = null } = taint;
  return { Key: key, Value: value, Effect: effect, TimeAdded: timeAdded };
}

function validateNode(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  const seen = new Set<string>();
  for (const [index, taint] of objectsAt(spec, 'taints').entries()) {
    const path = `metadata.taints[${index}]`;
    addTexts(errors, `${path}.key`, taint['key'], qualifiedName(stringAt(taint, 'key')));
    oneOf(errors, taint, 'effect', path, TAINT_EFFECTS, true);
    const key = `${stringAt(taint, 'key')}:${stringAt(taint, 'effect')}`;
    if (seen.has(key))
      errors.push({
        reason: 'FieldValueDuplicate',
        field: path,
        message: `Duplicate value: ${JSON.stringify(internalTaint(taint))}: taints must be unique by key and effect pair`,
      });
    seen.add(key);
  }
  const cidrs = arrayAt(spec, 'podCIDRs');
  for (const [index, cidr] of cidrs.entries()) {
    addTexts(errors, `spec.podCIDRs[${index}]`, cidr, cidrText(String(cidr)));
  }
  const families = cidrs.map((cidr) => parseCidr(String(cidr))?.family);
  if (new Set(families).size < families.length) {
    const text = 'may specify no more than one CIDR for each IP family';
    errors.push(invalid('spec.podCIDRs', cidrs, text));
  }
  return errors;
}

/** podCIDR is the first of podCIDRs. */
function alignPodCidrs(object: UnknownObject): void {
  const spec = objectAt(object, 'spec');
  const several = arrayAt(spec, 'podCIDRs');
  if (stringAt(spec, 'podCIDR') !== '' && several.length === 0) spec['podCIDRs'] = [spec['podCIDR']];
  else if (stringAt(spec, 'podCIDR') === '' && several.length > 0) spec['podCIDR'] = several[0];
}

export const NODE_RULES: KindRules = {
  shortNames: ['no'],
  selectable: {
    'spec.unschedulable': (node) => String(objectAt(node, 'spec')['unschedulable'] === true),
  },
  keepStatus: false,
  defaults: alignPodCidrs,
  validate: validateNode,
  validateUpdate: (object, old) => {
    const errors: FieldError[] = [];
    const [spec, before] = [objectAt(object, 'spec'), objectAt(old, 'spec')];
    if (
      arrayAt(before, 'podCIDRs').length > 0 &&
      String(arrayAt(spec, 'podCIDRs')) !== String(arrayAt(before, 'podCIDRs'))
    ) {
      errors.push(forbidden('spec', 'node updates may not change podCIDR except from "" to valid'));
    }
    const provider = stringAt(before, 'providerID');
    if (provider !== '' && provider !== stringAt(spec, 'providerID')) {
      errors.push(forbidden('spec', 'node updates may not change providerID except from "" to valid'));
    }
    return errors;
  },
};

export const LEASE_RULES: KindRules = {
  unconditionalUpdate: false,
  createOnUpdate: true,
  validate: (object) => {
    const errors: FieldError[] = [];
    const spec = objectAt(object, 'spec');
    const duration = numberAt(spec, 'leaseDurationSeconds');
    if (duration !== undefined && duration <= 0)
      errors.push(invalid('spec.leaseDurationSeconds', duration, 'must be greater than 0'));
    const transitions = numberAt(spec, 'leaseTransitions');
    if (transitions !== undefined && transitions < 0) {
      errors.push(invalid('spec.leaseTransitions', transitions, 'must be greater than or equal to 0'));
    }
    return errors;
  },
};
