import { dns1035Label, dnsLabel, dnsSubdomain, labelValue, qualifiedName } from '../formats.ts';
import { fitsFormat } from '../custom/formats.ts';
import type { FunctionTable } from './functions.ts';
import { maskTrailingDash } from '../rules/metadata.ts';
import { CelError } from './budget.ts';
import { CelOpaque, CelOptional, type CelValue, typeName } from './values.ts';

type Rule = (text: string) => readonly string[];

const prefix =
  (rule: Rule): Rule =>
  (text) =>
    rule(maskTrailingDash(text));

const fits =
  (format: string, why: string): Rule =>
  (text) =>
    fitsFormat(text, format) ? [] : [why];

/** Go's ParseRequestURI: absolute, or a path from the root. */
function uri(text: string): readonly string[] {
  if (text === '') return ['parse "": empty url'];
  if (URL.canParse(text) || (text.startsWith('/') && URL.canParse(text, 'http://x'))) return [];
  return [`parse ${JSON.stringify(text)}: invalid URI for request`];
}

/** Kubernetes' library of named formats (KEP-2876), by the names expressions use. */
const FORMATS: Readonly<Record<string, Rule>> = {
  dns1123Label: dnsLabel,
  dns1123Subdomain: (text) => dnsSubdomain(text),
  dns1035Label,
  qualifiedName,
  dns1123LabelPrefix: prefix(dnsLabel),
  dns1123SubdomainPrefix: prefix((text) => dnsSubdomain(text)),
  dns1035LabelPrefix: prefix(dns1035Label),
  labelValue,
  uri,
  uuid: fits('uuid', 'does not match the UUID format'),
  byte: fits('byte', 'invalid base64'),
  date: fits('date', 'invalid date'),
  datetime: fits('date-time', 'invalid datetime'),
};

const VALUES: ReadonlyMap<string, CelOpaque> = new Map(
  Object.entries(FORMATS).map(([name, rule]) => [name, new CelOpaque('kubernetes.NamedFormat', name, rule)]),
);

function validate([format, text]: readonly CelValue[]): CelOptional {
  if (!(format instanceof CelOpaque) || format.type !== 'kubernetes.NamedFormat' || typeof text !== 'string')
    throw new CelError(`no such overload: ${typeName(format ?? null)}.validate(${typeName(text ?? null)})`);
  const wrong = (format.data as Rule)(text);
  return new CelOptional(wrong.length > 0 ? [...wrong] : undefined);
}

export const FORMAT_FUNCTIONS: FunctionTable = {
  ...Object.fromEntries(Array.from(VALUES, ([name, value]) => [`format.${name}`, [0, 0, () => value]])),
  'format.named': [
    1,
    1,
    ([name]) => new CelOptional(typeof name === 'string' ? VALUES.get(name) : undefined),
  ],
  validate: [
    2,
    2,
    (args, budget) => (budget.spend(typeof args[1] === 'string' ? args[1].length / 10 : 1), validate(args)),
  ],
};
