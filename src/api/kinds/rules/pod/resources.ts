import { type FieldError, forbidden, invalid, notFound, notSupported, required } from '../../field-error.ts';
import { qualifiedName } from '../../formats.ts';
import { type JsonObject, objectAt, objectsAt, stringAt, textOf } from '../../json-value.ts';
import { canonicalQuantity, compareQuantities, parseQuantity, quantityUnits } from '../../quantity.ts';

const STANDARD = /^(cpu|memory|ephemeral-storage|hugepages-.+)$/;
const POD_LEVEL = ['cpu', 'hugepages-', 'memory'];
/** Names that are standard, though no container may ask for them: what quotas count. */
export const COUNTED_RESOURCES: ReadonlySet<string> = new Set([
  'configmaps',
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'persistentvolumeclaims',
  'pods',
  'replicationcontrollers',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
  'requests.storage',
  'resourcequotas',
  'secrets',
  'services',
  'services.loadbalancers',
  'services.nodeports',
  'storage',
]);

type NameRule = (name: string) => readonly FieldError[];

/** `resources` of a container: known names, whole and not negative, requests within limits. */
export function validateResources(
  errors: FieldError[],
  resources: JsonObject,
  at: string,
  claimNames: readonly string[],
): void {
  validateAmounts(errors, resources, at);
  for (const [index, claim] of objectsAt(resources, 'claims').entries()) {
    validateClaim(errors, claim, `${at}.claims[${index}]`, claimNames);
  }
}

/** `resources` of a pod as a whole. */
export function validatePodResources(errors: FieldError[], resources: JsonObject, at: string): void {
  if (resources['claims'] !== undefined) {
    errors.push(forbidden(`${at}.claims`, 'claims may not be set for Resources at pod-level'));
  }
  validateAmounts(errors, resources, at, (field) => (name) => {
    const wrong = standardResource(name, field);
    if (wrong.length > 0 || name === 'cpu' || name === 'memory' || isHugePages(name)) return wrong;
    return [notSupported(field, name, POD_LEVEL)];
  });
}

/** `limits` and `requests`, and how they go together. */
export function validateAmounts(
  errors: FieldError[],
  resources: JsonObject,
  at: string,
  rule: (field: string) => NameRule = (field) => (name) => containerResource(name, field),
): void {
  const limits = objectAt(resources, 'limits');
  const requests = objectAt(resources, 'requests');
  for (const [name, value] of Object.entries(limits)) {
    const field = `${at}.limits[${name}]`;
    errors.push(...rule(field)(name));
    validateAmount(errors, name, value, field);
  }
  for (const [name, value] of Object.entries(requests)) {
    const field = `${at}.requests[${name}]`;
    errors.push(...rule(field)(name));
    validateAmount(errors, name, value, field);
    validateRequest(errors, { name, value, limit: limits[name] }, at);
  }
  const names = [...Object.keys(limits), ...Object.keys(requests)];
  if (names.some(isHugePages) && !names.some((name) => name === 'cpu' || name === 'memory')) {
    errors.push(forbidden(at, 'HugePages require cpu or memory'));
  }
}

function validateRequest(
  errors: FieldError[],
  { name, value, limit }: { name: string; value: unknown; limit: unknown },
  at: string,
): void {
  const overcommit = !isHugePages(name) && !isExtended(name);
  if (limit === undefined) {
    if (!overcommit)
      errors.push(required(`${at}.limits`, 'Limit must be set for non overcommitable resources'));
    return;
  }
  const order = compareQuantities(value, limit) ?? 0;
  const bound = `${name} limit of ${canonicalQuantity(limit) ?? textOf(limit)}`;
  const shown = canonicalQuantity(value) ?? textOf(value);
  if (order !== 0 && !overcommit) {
    errors.push(invalid(`${at}.requests`, shown, `must be equal to ${bound}`));
  } else if (order > 0) {
    errors.push(invalid(`${at}.requests`, shown, `must be less than or equal to ${bound}`));
  }
}

/** What is wrong with the name of a resource that containers ask for. */
export function containerResource(name: string, field: string): FieldError[] {
  const errors = standardResource(name, field);
  if (!name.includes('/')) {
    if (!STANDARD.test(name)) errors.push(invalid(field, name, 'must be a standard resource for containers'));
  } else if (!/(^|\.)kubernetes\.io\//.test(name) && !isExtended(name)) {
    errors.push(invalid(field, name, "doesn't follow extended resource name standard"));
  }
  return errors;
}

/** What is wrong with the name of any resource. */
export function standardResource(name: string, field: string): FieldError[] {
  const errors = qualifiedName(name).map((text) => invalid(field, name, text));
  if (errors.length === 0 && !name.includes('/') && !STANDARD.test(name) && !COUNTED_RESOURCES.has(name)) {
    errors.push(invalid(field, name, 'must be a standard resource type or fully qualified'));
  }
  return errors;
}

function validateAmount(errors: FieldError[], name: string, value: unknown, field: string): void {
  const quantity = parseQuantity(value);
  if (!quantity) return;
  const shown = canonicalQuantity(value) ?? textOf(value);
  if (quantity.nano < 0n) errors.push(invalid(field, shown, 'must be greater than or equal to 0'));
  if (isExtended(name) && quantity.nano % 1_000_000_000n !== 0n) {
    errors.push(invalid(field, shown, 'must be an integer'));
  }
  if (!isHugePages(name)) return;
  const size = parseQuantity(name.slice('hugepages-'.length));
  if (!size || size.nano <= 0n) return;
  const pages = BigInt(quantityUnits(quantity)) % BigInt(quantityUnits(size));
  if (pages !== 0n)
    errors.push(invalid(field, shown, `${shown} is not positive integer multiple of ${name}`));
}

function isHugePages(name: string): boolean {
  return name.startsWith('hugepages-');
}

/** Resources of somebody's own domain: counted whole, not overcommitted. */
function isExtended(name: string): boolean {
  return name.includes('/') && !/(^|\.)kubernetes\.io\//.test(name) && !name.startsWith('requests.');
}

function validateClaim(
  errors: FieldError[],
  claim: JsonObject,
  field: string,
  known: readonly string[],
): void {
  const name = stringAt(claim, 'name');
  if (name === '') errors.push(required(field));
  else if (!known.includes(name)) {
    const list = known.length === 0 ? ' which is empty' : `: ${known.join(', ')}`;
    const wrong = notFound(field, name);
    const message = `${wrong.message}: must be one of the names in pod.spec.resourceClaims${list}`;
    errors.push({ ...wrong, message });
  }
}
