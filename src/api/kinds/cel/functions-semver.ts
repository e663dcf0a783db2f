import { CelError } from './budget.ts';
import type { FunctionTable } from './functions.ts';
import { CelOpaque, type CelValue, typeName } from './values.ts';

/** Semantic Versioning 2.0.0, without the build. */
interface Version {
  /** major, minor, patch */
  readonly numbers: readonly [bigint, bigint, bigint];
  readonly preRelease: readonly string[];
}

const NUMBER = '(0|[1-9][0-9]*)';
const IDENTIFIERS = '[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*';
const VERSION = new RegExp(`^${NUMBER}\\.${NUMBER}\\.${NUMBER}(?:-(${IDENTIFIERS}))?(?:\\+${IDENTIFIERS})?$`);
/** Characters of a version. */
const VERSION_MAX_LENGTH = 1_024;

function parseVersion(text: string): Version | undefined {
  const found = text.length > VERSION_MAX_LENGTH ? null : VERSION.exec(text);
  if (!found) return undefined;
  const [, major = '', minor = '', patch = '', rest] = found;
  const preRelease = rest?.split('.') ?? [];
  if (preRelease.some((one) => /^0\d+$/.test(one))) return undefined;
  return { numbers: [BigInt(major), BigInt(minor), BigInt(patch)], preRelease };
}

/** As kubectl's users write versions: without a leading v and leading zeros, with all three numbers. */
function normalized(text: string): string {
  const [major = '', minor, ...more] = text.replace(/^v/, '').split('.');
  const patch = more.length > 0 ? more.join('.') : undefined;
  // A short version has no place for a pre-release.
  if (patch === undefined && /[+-]/.test(minor ?? major)) return '';
  return [major, minor ?? '0', patch ?? '0'].map((one) => one.replace(/^0+(?=\d)/, '')).join('.');
}

function versionIn([text, lenient]: readonly CelValue[]): Version | undefined {
  if (typeof text !== 'string') throw new CelError(`no such overload: semver(${typeName(text ?? null)})`);
  return parseVersion(lenient === true ? normalized(text) : text);
}

function semver(args: readonly CelValue[]): CelOpaque {
  const version = versionIn(args);
  if (!version) throw new CelError(`not a semantic version: ${JSON.stringify(args[0])}`);
  const { numbers, preRelease } = version;
  const text = numbers.join('.') + (preRelease.length > 0 ? `-${preRelease.join('.')}` : '');
  return new CelOpaque('kubernetes.Semver', text, version);
}

function versionOf(value: CelValue | undefined): Version {
  if (value instanceof CelOpaque && value.type === 'kubernetes.Semver') return value.data as Version;
  throw new CelError(`no such overload: expected kubernetes.Semver, got ${typeName(value ?? null)}`);
}

/** Precedence (semver.org, section 11): below 0, 0, above 0. */
export function compareVersions(a: CelValue | undefined, b: CelValue | undefined): number {
  const [left, right] = [versionOf(a), versionOf(b)];
  for (const [index, number] of left.numbers.entries()) {
    const other = right.numbers[index] ?? 0n;
    if (number !== other) return number < other ? -1 : 1;
  }
  if (left.preRelease.length === 0 || right.preRelease.length === 0)
    return right.preRelease.length - left.preRelease.length;
  for (const [index, one] of left.preRelease.entries()) {
    const order = compareIdentifiers(one, right.preRelease[index]);
    if (order !== 0) return order;
  }
  return left.preRelease.length - right.preRelease.length;
}

/** Numbers come before words; nothing comes first. */
function compareIdentifiers(a: string, b: string | undefined): number {
  if (b === undefined) return 1;
  const [isNumber, otherIs] = [a, b].map((one) => /^\d+$/.test(one));
  if (isNumber !== otherIs) return isNumber ? -1 : 1;
  if (a === b) return 0;
  const smaller = isNumber ? BigInt(a) < BigInt(b) : a < b;
  return smaller ? -1 : 1;
}

export const SEMVER_FUNCTIONS: FunctionTable = {
  semver: [1, 2, semver],
  isSemver: [1, 2, (args) => versionIn(args) !== undefined],
  major: [1, 1, ([value]) => versionOf(value).numbers[0]],
  minor: [1, 1, ([value]) => versionOf(value).numbers[1]],
  patch: [1, 1, ([value]) => versionOf(value).numbers[2]],
};
