import { type FieldError, invalid as fieldInvalid } from '../../kinds/field-error.ts';
import { arrayAt, isObject, type JsonObject } from '../../kinds/json-value.ts';
import type { UnknownObject } from '../../kinds/meta.ts';
import { familyOf } from '../../../net/ip.ts';
import { invalid } from '../status.ts';
import type { AddressPool } from './address-pool.ts';

/**
 * The pools of a Service's families, primary first, by spec.ipFamilies, the given addresses and the policy;
 * fills spec.ipFamilyPolicy. Throws 422 for what this cluster does not have.
 */
export function poolsOf(
  available: readonly AddressPool[],
  service: UnknownObject,
  spec: JsonObject,
): AddressPool[] {
  const given = arrayAt(spec, 'clusterIPs').map(String);
  const named = arrayAt(spec, 'ipFamilies').map(String);
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
  const pools = families.map((family, index) => {
    const pool = available.find((one) => one.family === family);
    if (!pool)
      errors.push(fieldInvalid(`spec.ipFamilies[${index}]`, family, 'not configured on this cluster'));
    return pool;
  });
  if (errors.length > 0) {
    throw invalid({ group: '', kind: 'Service' }, service.metadata.name, errors);
  }
  return withOthers(pools, available, policy === 'SingleStack' ? 1 : available.length);
}

function withOthers(
  chosen: readonly (AddressPool | undefined)[],
  available: readonly AddressPool[],
  wanted: number,
): AddressPool[] {
  const pools = chosen.filter((pool) => pool !== undefined);
  for (const pool of available) if (pools.length < wanted && !pools.includes(pool)) pools.push(pool);
  return pools.slice(0, Math.max(wanted, 1));
}
