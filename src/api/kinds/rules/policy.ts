import { duplicate, type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts';
import { dnsLabel } from '../formats.ts';
import { arrayAt, isObject, numberAt, objectAt, objectsAt, setDefault, stringAt } from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import { addTexts, intOrPercent, notAbove100Percent, oneOf, validateSelector } from './checks.ts';
import type { KindRules } from './kind-rules.ts';
import { immutable, validateLabels } from './metadata.ts';
import { validateAmounts } from './pod/resources.ts';
import { validateTolerations } from './pod/scheduling.ts';

export const DISRUPTION_BUDGET_RULES: KindRules = {
  shortNames: ['pdb'],
  generation: true,
  validate: (object) => {
    const errors: FieldError[] = [];
    const spec = objectAt(object, 'spec');
    const [min, max] = [spec['minAvailable'], spec['maxUnavailable']];
    if (min !== undefined && max !== undefined) {
      const shown = {
        MinAvailable: min,
        Selector: spec['selector'] ?? null,
        MaxUnavailable: max,
        UnhealthyPodEvictionPolicy: spec['unhealthyPodEvictionPolicy'] ?? null,
      };
      errors.push(invalid('spec', shown, 'minAvailable and maxUnavailable cannot be both set'));
    }
    for (const name of ['minAvailable', 'maxUnavailable']) {
      intOrPercent(errors, spec[name], `spec.${name}`);
      notAbove100Percent(errors, spec[name], `spec.${name}`);
    }
    if (isObject(spec['selector'])) validateSelector(errors, spec['selector'], 'spec.selector');
    const policy = spec['unhealthyPodEvictionPolicy'];
    if (policy !== undefined && policy !== 'AlwaysAllow' && policy !== 'IfHealthyBudget') {
      errors.push(
        notSupported('spec.unhealthyPodEvictionPolicy', policy, ['AlwaysAllow', 'IfHealthyBudget']),
      );
    }
    return errors;
  },
};

/** Values above this are for the system's own classes. */
const HIGHEST_USER_PRIORITY = 1_000_000_000;
const SYSTEM_CLASSES: Readonly<Record<string, number>> = {
  'system-cluster-critical': 2_000_000_000,
  'system-node-critical': 2_000_001_000,
};

function validatePriorityClass(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const name = object.metadata?.name ?? '';
  const value = numberAt(object, 'value') ?? 0;
  if (name.startsWith('system-')) {
    if (SYSTEM_CLASSES[name] !== value || object['globalDefault'] === true) {
      const text = "priority class names with 'system-' prefix are reserved for system use only. error:";
      errors.push(forbidden('metadata.name', `${text} ${systemProblem(name, value)}`));
    }
  } else if (value > HIGHEST_USER_PRIORITY) {
    const text = `maximum allowed value of a user defined priority is ${HIGHEST_USER_PRIORITY}`;
    errors.push(forbidden('value', text));
  }
  oneOf(errors, object, 'preemptionPolicy', '', ['PreemptLowerPriority', 'Never']);
  return errors;
}

function systemProblem(name: string, value: number): string {
  const known = Object.hasOwn(SYSTEM_CLASSES, name) ? SYSTEM_CLASSES[name] : undefined;
  if (known === undefined) return `${name} is not a known system priority class`;
  return known === value
    ? `globalDefault of ${name} must be false`
    : `value of ${name} PriorityClass must be ${known}`;
}

export const PRIORITY_CLASS_RULES: KindRules = {
  shortNames: ['pc'],
  generation: true,
  defaults: (object) => setDefault(object, 'preemptionPolicy', 'PreemptLowerPriority'),
  validate: validatePriorityClass,
  validateUpdate: (object, old) => {
    const errors: FieldError[] = [];
    if ((object['value'] ?? 0) !== (old['value'] ?? 0)) {
      errors.push(forbidden('value', 'may not be changed in an update.'));
    }
    return [...errors, ...immutable(object['preemptionPolicy'], old['preemptionPolicy'], 'preemptionPolicy')];
  },
};

export const RUNTIME_CLASS_RULES: KindRules = {
  createOnUpdate: true,
  validate: (object) => {
    const errors: FieldError[] = [];
    const handler = stringAt(object, 'handler');
    addTexts(errors, 'handler', handler, dnsLabel(handler));
    const fixed = objectAt(object['overhead'], 'podFixed');
    validateAmounts(errors, { limits: fixed }, 'overhead');
    const scheduling = objectAt(object, 'scheduling');
    errors.push(...validateLabels(scheduling['nodeSelector'], 'scheduling.nodeSelector'));
    validateTolerations(errors, scheduling, 'scheduling');
    return errors;
  },
  validateUpdate: (object, old) => immutable(object['handler'], old['handler'], 'handler'),
};

const USAGES = [
  'any,cert sign,client auth,code signing,content commitment,crl sign,data encipherment,decipher only',
  'digital signature,email protection,encipher only,ipsec end system,ipsec tunnel,ipsec user,key agreement',
  'key encipherment,microsoft sgc,netscape sgc,ocsp signing,s/mime,server auth,signing,timestamping',
].flatMap((line) => line.split(','));
const MIN_LIFETIME_SECONDS = 600;

function validateRequest(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  const request = Buffer.from(stringAt(spec, 'request'), 'base64').toString('utf8');
  if (!/-----BEGIN (NEW )?CERTIFICATE REQUEST-----/.test(request)) {
    const text = 'PEM block type must be CERTIFICATE REQUEST';
    const shown = request === '' ? null : Buffer.from(request).toString('base64');
    errors.push(invalid('spec.request', shown, text));
  }
  const usages = arrayAt(spec, 'usages');
  if (usages.length === 0) errors.push(required('spec.usages'));
  for (const [index, usage] of usages.entries()) {
    if (!USAGES.includes(String(usage))) errors.push(notSupported(`spec.usages[${index}]`, usage, USAGES));
    if (usages.indexOf(usage) !== index) errors.push(duplicate(`spec.usages[${index}]`, usage));
  }
  validateSigner(errors, stringAt(spec, 'signerName'));
  const seconds = numberAt(spec, 'expirationSeconds');
  if (seconds !== undefined && seconds < MIN_LIFETIME_SECONDS) {
    errors.push(
      invalid(
        'spec.expirationSeconds',
        seconds,
        'may not specify a duration less than 600 seconds (10 minutes)',
      ),
    );
  }
  return errors;
}

function validateSigner(errors: FieldError[], signer: string): void {
  if (signer === '') {
    errors.push(required('spec.signerName'));
    return;
  }
  const [domain = '', ...path] = signer.split('/');
  if (path.length !== 1 || path[0] === '') {
    errors.push(
      invalid(
        'spec.signerName',
        signer,
        "must be a fully qualified domain and path of the form 'example.com/signer-name'",
      ),
    );
    return;
  }
  const field = 'spec.signerName';
  for (const label of domain.split('.'))
    for (const text of dnsLabel(label))
      errors.push(invalid(field, domain, `validating label ${JSON.stringify(label)}: ${text}`));
  if (!domain.includes('.'))
    errors.push(invalid(field, domain, 'should be a domain with at least two segments separated by dots'));
  if (signer === 'kubernetes.io/legacy-unknown')
    errors.push(invalid(field, signer, 'the legacy signerName is not allowed via this API version'));
}

/** Approved and Denied exclude each other, and neither can be taken back. */
function validateConditions(object: UnknownObject, old: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const types = (one: UnknownObject): string[] =>
    objectsAt(one['status'], 'conditions').map((c) => stringAt(c, 'type'));
  const now = types(object);
  if (now.includes('Approved') && now.includes('Denied')) {
    errors.push(
      invalid(
        'status.conditions',
        objectAt(object, 'status')['conditions'],
        'Approved and Denied conditions are mutually exclusive',
      ),
    );
  }
  for (const type of ['Approved', 'Denied', 'Failed']) {
    if (types(old).includes(type) && !now.includes(type)) {
      errors.push(forbidden('status.conditions', `updates may not remove a condition of type "${type}"`));
    }
  }
  return errors;
}

export const CERTIFICATE_REQUEST_RULES: KindRules = {
  shortNames: ['csr'],
  selectable: { 'spec.signerName': 'spec.signerName' },
  // The spec is written once.
  prepareUpdate: (object, old) => {
    if (old['spec'] !== undefined) object['spec'] = old['spec'];
  },
  validate: validateRequest,
  validateStatus: validateConditions,
};
