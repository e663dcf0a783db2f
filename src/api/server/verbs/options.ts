import {
  type FieldError,
  forbidden,
  invalid as fieldInvalid,
  notSupported,
  required,
  tooLong,
} from '../../kinds/field-error.ts';
import type { KindInfo } from '../../kinds/registry.ts';
import type { ApiRequest, UserInfo } from '../http/request.ts';
import type { RequestInfo } from '../http/request-info.ts';
import { FIELD_MANAGER_MAX_LENGTH } from '../limits.ts';
import { invalid } from '../status.ts';
import type { WriteContext } from './context.ts';

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

const VALIDATIONS: readonly string[] = ['Ignore', 'Strict', 'Warn'];

const KINDS: Readonly<Record<string, string>> = {
  create: 'CreateOptions',
  update: 'UpdateOptions',
  patch: 'PatchOptions',
};

export interface WriteRequest extends WriteContext {
  readonly fieldValidation: FieldValidation;
  readonly force: boolean;
  /** Texts for the Warning header, in order. */
  readonly warnings: string[];
}

/** Decodes and validates the query of a write; throws 422. */
export function writeRequest(
  request: ApiRequest,
  info: RequestInfo,
  kind: KindInfo,
  user: UserInfo,
  isApply = false,
): WriteRequest {
  const { query } = request;
  const errors: FieldError[] = [];
  const dryRun = query.getAll('dryRun').filter((one) => one !== '');
  if (dryRun.some((one) => one !== 'All')) errors.push(notSupported('dryRun', dryRun, ['All']));
  const validation = query.get('fieldValidation') ?? '';
  if (validation && !VALIDATIONS.includes(validation)) {
    errors.push(notSupported('fieldValidation', validation, ['', ...VALIDATIONS]));
  }
  const fieldManager = query.get('fieldManager') ?? '';
  errors.push(...fieldManagerErrors(fieldManager, isApply), ...forceErrors(request, info, isApply));
  const optionsKind = KINDS[info.verb];
  if (errors.length > 0 && optionsKind)
    throw invalid({ group: 'meta.k8s.io', kind: optionsKind }, '', errors);
  const warnings: string[] = [];
  return {
    kind,
    namespace: kind.namespaced ? info.namespace : '',
    name: info.name,
    subresource: info.subresource,
    user,
    dryRun: dryRun.length > 0,
    fieldManager: fieldManager || managerOf(request.headers['user-agent'] ?? ''),
    fieldValidation: (validation || 'Warn') as FieldValidation,
    force: query.get('force') === 'true',
    options: {
      kind: optionsKind ?? 'DeleteOptions',
      apiVersion: 'meta.k8s.io/v1',
      ...(dryRun.length > 0 && { dryRun }),
      ...(fieldManager && { fieldManager }),
      ...(validation && { fieldValidation: validation }),
    },
    warnings,
    ...(request.annotate && { annotate: request.annotate }),
    warn: (text) => {
      if (!warnings.includes(text)) warnings.push(text);
    },
  };
}

function forceErrors({ query }: ApiRequest, { verb }: RequestInfo, isApply: boolean): FieldError[] {
  if (verb !== 'patch' || isApply || !query.has('force')) return [];
  return [forbidden('force', 'may not be specified for non-apply patch')];
}

function fieldManagerErrors(fieldManager: string, isApply: boolean): FieldError[] {
  if (isApply && !fieldManager) return [required('fieldManager', 'is required for apply patch')];
  if (fieldManager.length > FIELD_MANAGER_MAX_LENGTH) {
    return [tooLong('fieldManager', FIELD_MANAGER_MAX_LENGTH)];
  }
  const at = /[^\x20-\x7e\u00a0-\uffff]/.exec(fieldManager);
  if (!at) return [];
  const code = (at[0].codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  const text = `invalid character U+${code} (at position ${at.index})`;
  return [fieldInvalid('fieldManager', fieldManager, text)];
}

/** The part of the User-Agent before the first slash. */
function managerOf(userAgent: string): string {
  return (userAgent.split('/')[0] ?? '').replace(/[^\x20-\x7e]/g, '').slice(0, FIELD_MANAGER_MAX_LENGTH);
}

/** RFC 7234 5.5 Warning header: one entry a text. */
export function warningHeader(warnings: readonly string[]): Record<string, string> | undefined {
  if (warnings.length === 0) return undefined;
  const entries = warnings.map(
    (text) => `299 - "${text.replace(/[\r\n]+/g, ' ').replace(/["\\]/g, '\\$&')}"`,
  );
  return { warning: entries.join(', ') };
}
