/** Status cause reasons of field errors, as apimachinery's field.ErrorType writes them. */
export type FieldErrorReason =
  | 'FieldValueRequired'
  | 'FieldValueInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueDuplicate'
  | 'FieldValueForbidden'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'FieldValueNotFound'
  | 'FieldValueTypeInvalid'
  | 'InternalError';

/** One violated rule. `message` has no field prefix: it is what a Status cause carries. */
export interface FieldError {
  readonly reason: FieldErrorReason;
  /** For example `spec.ports[0].port` or `metadata.labels`. */
  readonly field: string;
  readonly message: string;
}

/** A Status detail cause. */
export interface StatusCause {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

export function required(field: string, detail = ''): FieldError {
  return { reason: 'FieldValueRequired', field, message: detailed('Required value', detail) };
}

export function invalid(field: string, value: unknown, detail: string): FieldError {
  return {
    reason: 'FieldValueInvalid',
    field,
    message: detailed(`Invalid value: ${formatValue(value)}`, detail),
  };
}

export function notSupported(field: string, value: unknown, supported: readonly string[]): FieldError {
  const list = [...supported].map((one) => JSON.stringify(one)).join(', ');
  const detail = supported.length > 0 ? `supported values: ${list}` : '';
  return {
    reason: 'FieldValueNotSupported',
    field,
    message: detailed(`Unsupported value: ${formatValue(value)}`, detail),
  };
}

export function duplicate(field: string, value: unknown): FieldError {
  return { reason: 'FieldValueDuplicate', field, message: `Duplicate value: ${formatValue(value)}` };
}

export function forbidden(field: string, detail: string): FieldError {
  return { reason: 'FieldValueForbidden', field, message: detailed('Forbidden', detail) };
}

export function notFound(field: string, value: unknown): FieldError {
  return { reason: 'FieldValueNotFound', field, message: `Not found: ${formatValue(value)}` };
}

/** The value itself is left out of the message: it may be megabytes. */
export function tooLong(field: string, maxBytes: number): FieldError {
  return {
    reason: 'FieldValueTooLong',
    field,
    message: `Too long: may not be more than ${maxBytes} bytes`,
  };
}

export function tooMany(field: string, actual: number, max: number): FieldError {
  return {
    reason: 'FieldValueTooMany',
    field,
    message: `Too many: ${actual}: must have at most ${max} items`,
  };
}

/** `field: message`, the form used in the text of a 422 Status. */
export function formatFieldError(error: FieldError): string {
  return `${error.field}: ${error.message}`;
}

/** The message of a 422: `Service "x" is invalid: e1` or `…: [e1, e2]`; equal errors are told once. */
export function invalidMessage(
  kind: string,
  group: string,
  name: string,
  errors: readonly FieldError[],
): string {
  const texts = [...new Set(errors.map(formatFieldError))];
  const qualified = group ? `${kind}.${group}` : kind;
  const list = texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]`;
  return `${qualified} ${JSON.stringify(name)} is invalid: ${list}`;
}

export function causesOf(errors: readonly FieldError[]): StatusCause[] {
  return errors.map(({ reason, message, field }) => ({ reason, message, field }));
}

function detailed(head: string, detail: string): string {
  return detail ? `${head}: ${detail}` : head;
}

/** Strings quoted, numbers and booleans bare, everything else JSON; absent is `null`. */
function formatValue(value: unknown): string {
  return JSON.stringify(value ?? null) ?? 'null';
}
