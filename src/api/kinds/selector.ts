import { arrayAt, isObject, objectAt, objectsAt, stringAt } from './json-value.ts';
import { MAX_SELECTOR_REQUIREMENTS } from './limits.ts';

export type LabelOperator = '=' | '!=' | 'in' | 'notin' | 'exists' | '!' | '>' | '<';

export interface LabelRequirement {
  readonly key: string;
  readonly operator: LabelOperator;
  readonly values: readonly string[];
}

/** All requirements must hold; none = everything matches. */
export type LabelQuery = readonly LabelRequirement[];

export type ParsedLabels =
  | { readonly ok: true; readonly query: LabelQuery }
  | { readonly ok: false; readonly message: string };

/** True when the labels meet every requirement. */
export function matchesLabels(
  query: LabelQuery,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  return query.every((one) => meets(one, labels));
}

function meets(
  { key, operator, values }: LabelRequirement,
  labels: Readonly<Record<string, string>> | undefined,
): boolean {
  const has = labels !== undefined && Object.hasOwn(labels, key);
  const value = has ? (labels[key] ?? '') : '';
  switch (operator) {
    case 'exists':
      return has;
    case '!':
      return !has;
    case '=':
    case 'in':
      return has && values.includes(value);
    case '!=':
    case 'notin':
      return !has || !values.includes(value);
    case '>':
      return has && /^-?\d+$/.test(value) && Number(value) > Number(values[0]);
    case '<':
      return has && /^-?\d+$/.test(value) && Number(value) < Number(values[0]);
    default:
      return false;
  }
}

/** The query of a meta/v1 LabelSelector; undefined for an absent one, which matches nothing. */
export function labelQueryOf(selector: unknown): LabelQuery | undefined {
  if (!isObject(selector)) return undefined;
  const labels = Object.entries(objectAt(selector, 'matchLabels')).map(
    ([key, value]): LabelRequirement => ({ key, operator: '=', values: [String(value)] }),
  );
  const operators: Readonly<Record<string, LabelOperator>> = {
    In: 'in',
    NotIn: 'notin',
    Exists: 'exists',
    DoesNotExist: '!',
  };
  const expressions = objectsAt(selector, 'matchExpressions').map(
    (one): LabelRequirement => ({
      key: stringAt(one, 'key'),
      operator: operators[stringAt(one, 'operator')] ?? 'in',
      values: arrayAt(one, 'values').map(String),
    }),
  );
  return [...labels, ...expressions];
}

/** The text of a query, as status.selector of a Scale carries it. */
export function formatLabelQuery(query: LabelQuery): string {
  const terms = query.map(({ key, operator, values }) => {
    if (operator === 'exists') return key;
    if (operator === '!') return `!${key}`;
    if (operator === 'in' || operator === 'notin')
      return `${key} ${operator} (${[...values].sort().join(',')})`;
    return `${key}${operator}${values[0] ?? ''}`;
  });
  return terms.sort().join(',');
}

export interface FieldRequirement {
  readonly field: string;
  readonly equal: boolean;
  readonly value: string;
}

export type ParsedFields =
  | { readonly ok: true; readonly query: readonly FieldRequirement[] }
  | { readonly ok: false; readonly message: string };

/** Parses `metadata.name=x,status.phase!=Failed`. Backslash escapes comma, equals sign and itself in values. */
export function parseFieldSelector(text: string): ParsedFields {
  const query: FieldRequirement[] = [];
  for (const term of text.match(/(?:\\.|[^,\\])+/g) ?? []) {
    const match = /^\s*([^=!]+?)\s*(!=|==|=)(.*)$/s.exec(term);
    if (!match) return { ok: false, message: `invalid selector: '${text}'; can't understand '${term}'` };
    if (query.length >= MAX_SELECTOR_REQUIREMENTS) return { ok: false, message: 'too many requirements' };
    const value = (match[3] ?? '').replace(/\\([\\,=])/g, '$1');
    query.push({ field: match[1] ?? '', equal: match[2] !== '!=', value });
  }
  return { ok: true, query };
}

/** True when every requirement holds; a field that the kind does not select by counts as empty. */
export function matchesFields<T>(
  query: readonly FieldRequirement[],
  object: T,
  fields: ReadonlyMap<string, (object: T) => string>,
): boolean {
  return query.every(({ field, equal, value }) => ((fields.get(field)?.(object) ?? '') === value) === equal);
}

/** The first field the kind cannot be selected by, undefined when all are known. */
export function unknownField(
  query: readonly FieldRequirement[],
  fields: ReadonlyMap<string, unknown>,
): string | undefined {
  return query.find((one) => !fields.has(one.field))?.field;
}
