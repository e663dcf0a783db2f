/** What PersistentVolumeClaims, the templates of claims and PersistentVolumes have in common. */
import { type FieldError, forbidden, invalid, notSupported, required } from '../field-error.ts';
import { dnsSubdomain } from '../formats.ts';
import { arrayAt, isObject, type JsonObject, objectAt, stringAt } from '../json-value.ts';
import { canonicalQuantity, parseQuantity } from '../quantity.ts';
import { addTexts, oneOf, validateSelector } from './checks.ts';

const ACCESS_MODES = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];
export const VOLUME_MODES = ['Block', 'Filesystem'];

/** Rules of a PersistentVolumeClaimSpec wherever it stands. */
export function validateClaimSpec(errors: FieldError[], spec: JsonObject, path: string): void {
  const modes = `${path}.accessModes`;
  if (arrayAt(spec, 'accessModes').length === 0)
    errors.push(required(modes, 'at least 1 access mode is required'));
  if (isObject(spec['selector'])) validateSelector(errors, spec['selector'], `${path}.selector`);
  validateAccessModes(errors, spec, path);
  const storage = objectAt(objectAt(spec, 'resources'), 'requests')['storage'];
  const field = `${path}.resources[storage]`;
  if (storage === undefined) errors.push(required(field));
  else validatePositive(errors, storage, field);
  validateClassName(errors, spec, path);
  oneOf(errors, spec, 'volumeMode', path, VOLUME_MODES);
  for (const name of ['dataSource', 'dataSourceRef']) {
    if (isObject(spec[name])) validateDataSource(errors, spec[name], `${path}.${name}`);
  }
}

export function validateAccessModes(errors: FieldError[], spec: JsonObject, path: string): void {
  const field = `${path}.accessModes`;
  const modes = arrayAt(spec, 'accessModes');
  for (const mode of modes) {
    if (!ACCESS_MODES.includes(String(mode))) errors.push(notSupported(field, mode, ACCESS_MODES));
  }
  if (modes.includes('ReadWriteOncePod') && modes.length > 1) {
    errors.push(forbidden(field, 'may not use ReadWriteOncePod with other access modes'));
  }
}

export function validatePositive(errors: FieldError[], value: unknown, field: string): void {
  const quantity = parseQuantity(value);
  if (quantity && quantity.nano <= 0n)
    errors.push(invalid(field, canonicalQuantity(value), 'must be greater than zero'));
}

export function validateClassName(errors: FieldError[], spec: JsonObject, path: string): void {
  const name = stringAt(spec, 'storageClassName');
  if (name !== '') addTexts(errors, `${path}.storageClassName`, name, dnsSubdomain(name));
}

function validateDataSource(errors: FieldError[], source: JsonObject, at: string): void {
  for (const name of ['name', 'kind']) {
    if (stringAt(source, name) === '') errors.push(required(`${at}.${name}`));
  }
  const [kind, group] = [stringAt(source, 'kind'), stringAt(source, 'apiGroup')];
  if (group !== '') addTexts(errors, `${at}.apiGroup`, group, dnsSubdomain(group));
  else if (kind !== 'PersistentVolumeClaim') {
    const text = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
    errors.push(invalid(at, kind, text));
  }
}
