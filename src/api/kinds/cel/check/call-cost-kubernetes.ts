import {
  type CallEstimate,
  type CallSite,
  CHARACTER_STEPS,
  type CostNode,
  PATTERN_CHARACTER_STEPS,
  patternCost,
  sizeOf,
  traversal,
} from './call-site.ts';
import { type Estimate, fixed, product, scaled, sum, UNBOUNDED, UNKNOWN } from './estimate.ts';
import { lastParam, sameType } from './type.ts';

/** A question to the authorizer: two of them an expression. */
const CHECK_COST = fixed(350_000);
/** Characters of the name of a format, and of the patterns behind the formats. */
const FORMAT_MAX_LENGTH = 64;
const FORMAT_PATTERN_LENGTH = 128;
/** Bytes of an address. */
const ADDRESS_BYTES: Estimate = { min: 4, max: 16 };
/** Steps for a selector: the list it becomes, and for each two characters a requirement. */
const SELECTOR_STEPS = { list: 10, requirement: 50, requirements: 0.5 };

const ONE_STEP: ReadonlySet<string> = new Set(
  (
    'serviceAccount path group resource subresource namespace name allowed reason error errored ' +
    'masked prefixLength family isUnspecified isLoopback isLinkLocalMulticast isLinkLocalUnicast ' +
    'isGlobalUnicast format.named sign asInteger isInteger asApproximateFloat isGreaterThan isLessThan ' +
    'compareTo add sub major minor patch getScheme getHostname getHost getPort getEscapedPath getQuery'
  ).split(' '),
);
/** Their first argument is read once. */
const PARSERS: ReadonlySet<string> = new Set(
  'ip cidr isIP isCIDR quantity isQuantity semver isSemver'.split(' '),
);

/** Costs of the functions of Kubernetes' libraries, and of those it prices otherwise than the language does. */
export function kubernetesEstimate(call: CallSite): CallEstimate | undefined {
  const { name, overload, args } = call;
  if (ONE_STEP.has(name) || overload === 'cidr_ip') return { cost: fixed(1) };
  const first = sizeOf(args[0]);
  if (PARSERS.has(name) && args.length > 0) return { cost: traversal(first) };
  switch (name) {
    case 'check':
      return { cost: CHECK_COST };
    case 'fieldSelector':
    case 'labelSelector':
      return { cost: selectorCost(first) };
    case 'url':
      return { cost: traversal(first), size: first };
    case 'ip.isCanonical':
      return { cost: scaled(first, 2 * CHARACTER_STEPS) };
    case 'containsIP':
    case 'containsCIDR':
      return { cost: networkCost(call) };
    case 'validate':
      return { cost: scaled(traversal(first), FORMAT_PATTERN_LENGTH * PATTERN_CHARACTER_STEPS) };
    case '_==_':
      return equality(call);
    default:
      return textEstimate(call);
  }
}

function selectorCost(length: Estimate): Estimate {
  const requirements = scaled(length, SELECTOR_STEPS.requirements);
  return sum(fixed(SELECTOR_STEPS.list), traversal(length), scaled(requirements, SELECTOR_STEPS.requirement));
}

function networkCost({ name, overload, args }: CallSite): Estimate {
  const compared = traversal(sum(ADDRESS_BYTES, ADDRESS_BYTES));
  const masked = name === 'containsCIDR' ? sum(traversal(ADDRESS_BYTES), fixed(1)) : fixed(0);
  const parsed = overload.endsWith('_string') ? traversal(sizeOf(args[0])) : fixed(0);
  return sum(compared, masked, parsed);
}

/** Values of Kubernetes' own types are equal by one look at them. */
function equality({ args: [left, right] }: CallSite): CallEstimate | undefined {
  if (!left || !right || !sameType(left.type, right.type)) return undefined;
  const { kind, name } = left.type;
  if (name === 'kubernetes.NamedFormat') return { cost: traversal({ min: 1, max: FORMAT_MAX_LENGTH }) };
  if (name === 'kubernetes.URL') {
    return { cost: traversal({ min: 1, max: right.size?.max ?? 1 }) };
  }
  const isOwn = kind === 'struct' ? name.startsWith('kubernetes.') : name === 'net.IP' || name === 'net.CIDR';
  return isOwn ? { cost: fixed(1) } : undefined;
}

function textEstimate(call: CallSite): CallEstimate | undefined {
  const { name, target, args } = call;
  if (!target) return undefined;
  const size = sizeOf(target);
  switch (name) {
    case 'isSorted':
    case 'sum':
    case 'max':
    case 'min':
    case 'indexOf':
    case 'lastIndexOf':
      return { cost: searchCost(call, target) };
    case 'lowerAscii':
    case 'upperAscii':
    case 'substring':
    case 'trim':
      return { cost: traversal(size), size };
    case 'replace':
      return {
        cost: scaled(size, 2 * CHARACTER_STEPS),
        size: replacedSize(size, sizeOf(args[0]), sizeOf(args[1])),
      };
    case 'split': {
      const most = args[1]?.expression;
      const count =
        most?.type === 'literal' && typeof most.value === 'bigint' ? Number(most.value) : size.max;
      const max = count < 0 ? UNBOUNDED : count;
      return { cost: scaled(size, 2 * CHARACTER_STEPS), size: { min: 0, max } };
    }
    case 'join':
      return joined(call, target);
    case 'find':
    case 'findAll':
      return { cost: patternCost(size, sizeOf(args[0])), size: { min: 0, max: size.max } };
    default:
      return undefined;
  }
}

/** Size of an item of a list: by its place in the schema, else unknown. Undefined when the value is no list. */
function itemSize({ sizeAt }: CallSite, { type, path }: CostNode): Estimate | undefined {
  if (type.params.length === 0) return undefined;
  return (path && sizeAt([...path, '@items'])) ?? UNKNOWN;
}

/** A look at each item; texts are looked through. */
function searchCost(call: CallSite, target: CostNode): Estimate {
  const item = itemSize(call, target);
  if (!item) return traversal(sizeOf(target));
  const [first = lastParam(target.type)] = target.type.params;
  const isText = first.name === 'string' || first.name === 'bytes';
  return product(sizeOf(target), isText ? sum(fixed(1), traversal(item)) : fixed(1));
}

function joined(call: CallSite, target: CostNode): CallEstimate {
  const count = sizeOf(target);
  const item = itemSize(call, target);
  const texts = item ? product(count, item) : fixed(0);
  const gaps = { min: Math.max(0, count.min - 1), max: Math.max(0, count.max - 1) };
  const [separator] = call.args;
  const size = separator ? sum(texts, product(sizeOf(separator), gaps)) : texts;
  return { cost: traversal(size), size };
}

/** Shortest and longest text that replacing may make. */
function replacedSize(text: Estimate, old: Estimate, made: Estimate): Estimate {
  let longest = { count: Math.ceil(text.max / old.min), kept: 0 };
  if (old.min === 0) longest = { count: text.max + 1, kept: text.max };
  else if (made.max <= old.min) longest = { count: 0, kept: text.max };
  let shortest = { count: Math.ceil(text.min / old.max), kept: 0 };
  if (old.max === 0) shortest = { count: text.min + 1, kept: text.min };
  else if (old.max <= made.min) shortest = { count: 0, kept: text.min };
  return sum(product({ min: shortest.count, max: longest.count }, made), {
    min: shortest.kept,
    max: longest.kept,
  });
}
