import { type FieldError, invalid, notSupported, required } from '../field-error.ts';
import { percentOf } from '../int-or-string.ts';
import { ensureObject, equalJson, type JsonObject, objectAt, setDefault, stringAt } from '../json-value.ts';
import type { UnknownObject } from '../meta.ts';
import { intOrPercent, nonNegative, notAbove100Percent } from './checks.ts';
import type { KindRules } from './kind-rules.ts';
import { immutable } from './metadata.ts';
import { defaultTemplate } from './pod-defaults.ts';
import { validateOwnSelector, validateTemplate } from './template.ts';
import { internalStrategy } from './workloads.ts';

/** Counts changes of the template; kept as an annotation since extensions/v1beta1. */
const TEMPLATE_GENERATION = 'deprecated.daemonset.template.generation';

function defaults(object: UnknownObject): void {
  const spec = ensureObject(object, 'spec');
  if (!spec) return;
  const strategy = ensureObject(spec, 'updateStrategy');
  if (strategy) {
    setDefault(strategy, 'type', 'RollingUpdate');
    const rolling =
      strategy['type'] === 'RollingUpdate' ? ensureObject(strategy, 'rollingUpdate') : undefined;
    if (rolling) {
      rolling['maxUnavailable'] ??= 1;
      rolling['maxSurge'] ??= 0;
    }
  }
  spec['revisionHistoryLimit'] ??= 10;
  defaultTemplate(spec);
}

function setTemplateGeneration(object: UnknownObject, generation: number): void {
  const annotations = ensureObject(object.metadata as unknown as JsonObject, 'annotations');
  if (annotations) annotations[TEMPLATE_GENERATION] = String(generation);
}

function isZero(value: unknown): boolean {
  return value === 0 || percentOf(value) === 0;
}

function validate(object: UnknownObject): FieldError[] {
  const errors: FieldError[] = [];
  const spec = objectAt(object, 'spec');
  validateOwnSelector(errors, spec, 'daemonset');
  validateTemplate(errors, spec, 'DaemonSet');
  for (const name of ['minReadySeconds', 'revisionHistoryLimit']) nonNegative(errors, spec, name, 'spec');
  const strategy = objectAt(spec, 'updateStrategy');
  const known = ['RollingUpdate', 'OnDelete'];
  if (!known.includes(stringAt(strategy, 'type')))
    errors.push(notSupported('spec.updateStrategy', internalStrategy(strategy), known));
  if (strategy['type'] !== 'RollingUpdate') return errors;
  const path = 'spec.updateStrategy.rollingUpdate';
  const rolling = objectAt(strategy, 'rollingUpdate');
  for (const name of ['maxUnavailable', 'maxSurge']) {
    intOrPercent(errors, rolling[name], `${path}.${name}`);
    notAbove100Percent(errors, rolling[name], `${path}.${name}`);
  }
  const [unavailable, surge] = [isZero(rolling['maxUnavailable']), isZero(rolling['maxSurge'])];
  if (unavailable && surge) {
    errors.push(required(`${path}.maxUnavailable`, 'cannot be 0 when maxSurge is 0'));
  }
  if (!unavailable && !surge && rolling['maxSurge'] !== undefined) {
    errors.push(
      invalid(`${path}.maxSurge`, rolling['maxSurge'], 'may not be set when maxUnavailable is non-zero'),
    );
  }
  return errors;
}

export const DAEMON_SET_RULES: KindRules = {
  shortNames: ['ds'],
  categories: ['all'],
  generation: true,
  defaults,
  prepareCreate: (object) => setTemplateGeneration(object, 1),
  prepareUpdate: (object, old) => {
    const before = Number(object.metadata && objectAt(old.metadata, 'annotations')[TEMPLATE_GENERATION]);
    const [spec, was] = [objectAt(object, 'spec'), objectAt(old, 'spec')];
    const generation = Number.isInteger(before) ? before : 0;
    setTemplateGeneration(object, equalJson(spec['template'], was['template']) ? generation : generation + 1);
  },
  validate,
  validateUpdate: (object, old) =>
    immutable(objectAt(object, 'spec')['selector'], objectAt(old, 'spec')['selector'], 'spec.selector'),
};
