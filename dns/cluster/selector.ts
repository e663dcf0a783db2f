/** A label selector in kubectl's text form: `a=b,c!=d,e in (f,g),h notin (i),j,!k`. */
export interface Selector {
  readonly text: string;
  matches(labels: Readonly<Record<string, string>>): boolean;
}

type Requirement = (labels: Readonly<Record<string, string>>) => boolean;

const KEY = String.raw`[A-Za-z0-9](?:[\w./-]*[A-Za-z0-9])?`;
const SET = new RegExp(String.raw`^(${KEY})\s+(in|notin)\s*\(([^()]*)\)$`);
const EQUALITY = new RegExp(String.raw`^(${KEY})\s*(==|=|!=)\s*([\w.-]*)$`);
const EXISTS = new RegExp(String.raw`^(!?)\s*(${KEY})$`);

/** Undefined when the text is no selector. */
export function parseSelector(text: string): Selector | undefined {
  const parts = text
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part) => part !== '');
  const requirements = parts.map(parseRequirement);
  if (requirements.length === 0 || !requirements.every((one) => one !== undefined)) return undefined;
  return { text, matches: (labels) => requirements.every((holds) => holds(labels)) };
}

function parseRequirement(part: string): Requirement | undefined {
  const set = SET.exec(part);
  if (set) {
    const [, key, operator, list] = set;
    const values = new Set(list!.split(',').map((value) => value.trim()));
    if (operator === 'in') return (labels) => Object.hasOwn(labels, key!) && values.has(labels[key!]!);
    return (labels) => !Object.hasOwn(labels, key!) || !values.has(labels[key!]!);
  }
  const equality = EQUALITY.exec(part);
  if (equality) {
    const [, key, operator, value] = equality;
    return operator === '!=' ? (labels) => labels[key!] !== value : (labels) => labels[key!] === value;
  }
  const exists = EXISTS.exec(part);
  if (!exists) return undefined;
  const [, not, key] = exists;
  return (labels) => Object.hasOwn(labels, key!) !== (not === '!');
}
