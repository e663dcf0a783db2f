import { type FieldError, invalid as fieldInvalid } from '../../kinds/field-error.ts';
import { arrayAt, isObject, type JsonObject } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { type Family, familyOf } from '../../../net/ip.ts';
import { invalid } from '../status.ts';

/**
 * The families of a Service, primary first, by spec.ipFamilies, the given addresses and the policy;
 * fills spec.ipFamilyPolicy. Throws 422 for what this cluster does not have.
 */
export function familiesOf(available: readonly Family[], service: UnknownObject, spec: JsonObject): Family[] {
  const given = arrayAt(spec, 'clusterIPs').map(String);
  const named = arrayAt(spec, 'ipFamilies') as Family[];
  const families = named.length > 0 ? named : given.flatMap((address) => familyOf(address) ?? []);
  const headless = spec['clusterIP'] === 'None';
  const selectorless = headless && !(isObject(spec['selector']) && Object.keys(spec['selector']).length > 0);
  const both = families.length > 1 || (selectorless && available.length > 1);
  spec['ipFamilyPolicy'] ??= both ? 'RequireDualStack' : 'SingleStack';
  const policy = spec['ipFamilyPolicy'];
  const errors: FieldError[] = [];
  const refuse = (why: string): unknown => errors.push(fieldInvalid('spec.ipFamilyPolicy', policy, why));
  if (policy === 'RequireDualStack' && available.length < 2 && !selectorless) {
    refuse('this cluster is not configured for dual-stack services');
  }
  if (policy === 'SingleStack' && given.length > 1 && !headless) {
    refuse('must be RequireDualStack or PreferDualStack when multiple cluster IPs are specified');
  }
  for (const [index, family] of families.entries()) {
    if (available.includes(family)) continue;
    errors.push(
      named.length > 0
        ? fieldInvalid(`spec.ipFamilies[${index}]`, family, 'not configured on this cluster')
        : fieldInvalid(`spec.clusterIPs[${index}]`, given, `${family} is not configured on this cluster`),
    );
  }
  if (errors.length > 0) {
    throw invalid({ group: '', kind: 'Service' }, service.metadata.name, errors);
  }
  const wanted = policy === 'SingleStack' ? 1 : available.length;
  const all = [...families, ...available.filter((family) => !families.includes(family))];
  return all.slice(0, Math.max(wanted, 1));
}
