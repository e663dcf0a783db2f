import { forbidden, notSupported, type FieldError } from '../../kinds/field-error.ts';
import { badRequest, invalid } from '../status.ts';

export interface ListOptions {
  readonly labelSelector: string;
  readonly fieldSelector: string;
  readonly resourceVersion: string;
  readonly resourceVersionMatch: string;
  readonly watch: boolean;
  readonly allowWatchBookmarks: boolean;
  readonly sendInitialEvents: boolean | undefined;
  readonly timeoutSeconds: number | undefined;
  /** 0 = all. */
  readonly limit: number;
  readonly continueToken: string;
}

const EXACT = 'Exact';
const NOT_OLDER_THAN = 'NotOlderThan';
const LIST_OPTIONS = { group: 'meta.k8s.io', kind: 'ListOptions' };

/** Decodes and validates the query of a list or watch; throws 400 or 422. */
export function parseListOptions(query: URLSearchParams): ListOptions {
  const options: ListOptions = {
    labelSelector: query.get('labelSelector') ?? '',
    fieldSelector: query.get('fieldSelector') ?? '',
    resourceVersion: query.get('resourceVersion') ?? '',
    resourceVersionMatch: query.get('resourceVersionMatch') ?? '',
    watch: parseBoolean(query, 'watch') ?? false,
    allowWatchBookmarks: parseBoolean(query, 'allowWatchBookmarks') ?? false,
    sendInitialEvents: parseBoolean(query, 'sendInitialEvents'),
    timeoutSeconds: parseInteger(query, 'timeoutSeconds'),
    limit: Math.max(0, parseInteger(query, 'limit') ?? 0),
    continueToken: query.get('continue') ?? '',
  };
  const errors = options.watch ? watchErrors(options) : listErrors(options);
  if (errors.length > 0) throw invalid(LIST_OPTIONS, '', errors);
  return options;
}

export function parseBoolean(query: URLSearchParams, name: string): boolean | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  return text !== 'false' && text !== '0';
}

export function parseInteger(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  if (!/^-?\d{1,18}$/.test(text)) {
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  }
  return Number(text);
}

/** A decimal without sign; '' is undefined. */
export function parseRevision(text: string): number | undefined {
  if (text === '') return undefined;
  if (!/^\d{1,16}$/.test(text)) {
    throw badRequest(
      `resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  }
  return Number(text);
}

const matchForbidden = (why: string): FieldError => forbidden('resourceVersionMatch', why);

function listErrors(options: ListOptions): FieldError[] {
  const errors: FieldError[] = [];
  const match = options.resourceVersionMatch;
  if (match) {
    if (!options.resourceVersion) {
      errors.push(matchForbidden('resourceVersionMatch is forbidden unless resourceVersion is provided'));
    }
    if (options.continueToken) {
      errors.push(matchForbidden('resourceVersionMatch is forbidden when continue is provided'));
    }
    if (match !== EXACT && match !== NOT_OLDER_THAN) {
      errors.push(notSupported('resourceVersionMatch', match, [EXACT, NOT_OLDER_THAN, '']));
    }
    if (match === EXACT && options.resourceVersion === '0') {
      errors.push(matchForbidden('resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
    }
  }
  if (options.sendInitialEvents !== undefined) {
    errors.push(forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list'));
  }
  return errors;
}

function watchErrors(options: ListOptions): FieldError[] {
  const errors: FieldError[] = [];
  const match = options.resourceVersionMatch;
  if (options.sendInitialEvents !== undefined && match !== NOT_OLDER_THAN) {
    errors.push(
      matchForbidden(`sendInitialEvents requires setting resourceVersionMatch to ${NOT_OLDER_THAN}`),
    );
  }
  if (match && options.sendInitialEvents === undefined) {
    errors.push(
      matchForbidden('resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'),
    );
  }
  if (match && match !== NOT_OLDER_THAN) {
    errors.push(notSupported('resourceVersionMatch', match, [NOT_OLDER_THAN]));
  }
  if (match && options.continueToken) {
    errors.push(matchForbidden('resourceVersionMatch is forbidden when continue is provided'));
  }
  return errors;
}

interface ContinueToken {
  /** -1 = whatever is there now. */
  readonly revision: number;
  /** The key after which the next page starts. */
  readonly after: string;
}

const TOKEN_VERSION = 'meta.k8s.io/v1';

/** The key is given without its collection prefix, so a token cannot reach another collection. */
export function encodeContinue(token: ContinueToken, prefix: string): string {
  const start = `${token.after.slice(prefix.length)}\0`;
  return Buffer.from(JSON.stringify({ v: TOKEN_VERSION, rv: token.revision, start })).toString('base64url');
}

export function decodeContinue(text: string, prefix: string): ContinueToken {
  const fail = (): never => {
    throw badRequest('continue key is not valid: illegal base64 data or unknown form');
  };
  let decoded: { v?: unknown; rv?: unknown; start?: unknown };
  try {
    decoded = JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as typeof decoded;
  } catch {
    return fail();
  }
  const { v, rv, start } = decoded ?? {};
  if (v !== TOKEN_VERSION || typeof rv !== 'number' || !Number.isSafeInteger(rv)) return fail();
  if (typeof start !== 'string' || start === '' || start.includes('..')) return fail();
  return { revision: rv, after: prefix + start.replace(/\0$/, '') };
}
