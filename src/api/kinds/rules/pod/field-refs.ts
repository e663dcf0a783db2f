/** What environment variables and downward API files may refer to. */
import { type FieldError, invalid, notSupported, required } from '../../field-error.ts';
import { qualifiedName } from '../../formats.ts';
import { type JsonObject, stringAt } from '../../json-value.ts';
import { canonicalQuantity } from '../../quantity.ts';
import { addTexts } from '../checks.ts';

export const ENV_FIELDS = [
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
];
export const FILE_FIELDS = [
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
];
/** Fields that exist, though not every reference may use them. */
const KNOWN_FIELDS = new Set([
  ...ENV_FIELDS,
  ...FILE_FIELDS,
  'spec.restartPolicy',
  'spec.schedulerName',
  'status.phase',
]);
const RESOURCES = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
];
const SIZE_DIVISORS = '1 1k 1M 1G 1T 1P 1E 1Ki 1Mi 1Gi 1Ti 1Pi 1Ei'.split(' ');

/** An ObjectFieldSelector. */
export function validateFieldRef(
  errors: FieldError[],
  ref: JsonObject,
  at: string,
  supported: readonly string[],
): void {
  const path = stringAt(ref, 'fieldPath');
  if (path === '') {
    errors.push(required(`${at}.fieldPath`));
    return;
  }
  const subscripted = /^(.+)\['(.*)'\]$/.exec(path);
  const field = subscripted?.[1] ?? path;
  const mapped = field === 'metadata.annotations' || field === 'metadata.labels';
  if (subscripted && mapped) {
    const key = subscripted[2] ?? '';
    const judged = field === 'metadata.annotations' ? key.toLowerCase() : key;
    addTexts(errors, at, judged, qualifiedName(judged));
  } else if (subscripted) {
    const text = `error converting fieldPath: field label does not support subscript: ${path}`;
    errors.push(invalid(`${at}.fieldPath`, path, text));
  } else if (!KNOWN_FIELDS.has(path)) {
    const text = `error converting fieldPath: field label not supported: ${path}`;
    errors.push(invalid(`${at}.fieldPath`, path, text));
  } else if (!supported.includes(path)) {
    errors.push(notSupported(`${at}.fieldPath`, path, supported));
  }
}

/** A ResourceFieldSelector; in a volume it must name its container. */
export function validateResourceRef(
  errors: FieldError[],
  ref: JsonObject,
  at: string,
  inVolume: boolean,
): void {
  const resource = stringAt(ref, 'resource');
  if (inVolume && stringAt(ref, 'containerName') === '') errors.push(required(`${at}.containerName`));
  else if (resource === '') errors.push(required(`${at}.resource`));
  else if (!RESOURCES.includes(resource) && !/^(limits|requests)\.hugepages-/.test(resource)) {
    errors.push(notSupported(`${at}.resource`, resource, RESOURCES));
  }
  validateDivisor(errors, resource, canonicalQuantity(ref['divisor']) ?? '0', `${at}.divisor`);
}

function validateDivisor(errors: FieldError[], resource: string, divisor: string, field: string): void {
  if (divisor === '0') return;
  const kind = resource.replace(/^(limits|requests)\./, '');
  if (kind === 'cpu') {
    if (divisor !== '1m' && divisor !== '1') {
      errors.push(
        invalid(field, resource, "only divisor's values 1m and 1 are supported with the cpu resource"),
      );
    }
    return;
  }
  const about =
    kind === 'memory' ? 'memory' : kind === 'ephemeral-storage' ? 'local ephemeral storage' : 'hugepages';
  if (!kind.startsWith('hugepages-') && about === 'hugepages') return;
  if (SIZE_DIVISORS.includes(divisor)) return;
  const list = SIZE_DIVISORS.join(', ');
  errors.push(
    invalid(field, resource, `only divisor's values ${list} are supported with the ${about} resource`),
  );
}
