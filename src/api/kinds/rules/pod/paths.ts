/** Paths inside volumes, and file modes: the rules that every kind of volume shares. */
import { type FieldError, invalid, required } from '../../field-error.ts';
import { type JsonObject, numberAt, stringAt } from '../../json-value.ts';

const MAX_FILE_MODE = 0o777;

export function validateFileMode(errors: FieldError[], parent: unknown, name: string, at: string): void {
  const mode = numberAt(parent, name);
  if (mode === undefined || (mode >= 0 && mode <= MAX_FILE_MODE)) return;
  const text = 'must be a number between 0 and 0777 (octal), both inclusive';
  errors.push(invalid(`${at}.${name}`, mode, text));
}

export function validateNoBacksteps(errors: FieldError[], path: string, field: string): void {
  if (path.split('/').includes('..')) errors.push(invalid(field, path, "must not contain '..'"));
}

/** Relative, and not out of the folder. */
export function validateDescendingPath(errors: FieldError[], path: string, field: string): void {
  if (path.startsWith('/')) errors.push(invalid(field, path, 'must be a relative path'));
  validateNoBacksteps(errors, path, field);
}

/** Names that begin with two dots belong to the kubelet, which swaps folders under them. */
export function validateFilePath(errors: FieldError[], path: string, field: string): void {
  validateDescendingPath(errors, path, field);
  if (path.startsWith('..') && !path.startsWith('../')) {
    errors.push(invalid(field, path, "must not start with '..'"));
  }
}

/** One file of a Secret or ConfigMap: which key, where, with which mode. */
export function validateKeyToPath(errors: FieldError[], item: JsonObject, at: string): void {
  for (const name of ['key', 'path']) {
    if (stringAt(item, name) === '') errors.push(required(`${at}.${name}`));
  }
  validateFilePath(errors, stringAt(item, 'path'), `${at}.path`);
  validateFileMode(errors, item, 'mode', at);
}
