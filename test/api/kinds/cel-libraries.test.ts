import { describe, expect, it } from 'vitest';
import { authorizerVariables, type CelAccess } from '../../../src/api/kinds/cel/functions-authorizer.ts';
import { compileCel } from '../../../src/api/kinds/cel/program.ts';
import { celFromJson, type CelValue, jsonFromCel } from '../../../src/api/kinds/cel/values.ts';

const SELF = { namespace: 'ns', package: 'x' };

function evaluate(expression: string, more: Readonly<Record<string, CelValue>> = {}): unknown {
  const variables = { self: celFromJson(SELF), ...more };
  const made = compileCel(expression, new Set(Object.keys(variables)));
  if (!made.ok) return `compile: ${made.message}`;
  const result = made.program.evaluate(variables);
  return result.ok ? jsonFromCel(result.value) : `error: ${result.message}`;
}

/** What kube-apiserver 1.35 says to the same. */
const CASES: readonly (readonly [expression: string, value: unknown])[] = [
  ['format.dns1123Label().validate("ok").hasValue()', false],
  ['format.dns1123Label().validate("Foo_").value()[0].startsWith("a lowercase RFC 1123 label must")', true],
  ['format.dns1123LabelPrefix().validate("foo-").hasValue()', false],
  ['format.dns1123SubdomainPrefix().validate("foo.").hasValue()', true],
  ['format.dns1035LabelPrefix().validate("foo-").hasValue()', false],
  ['format.dns1035Label().validate("1a").value()[0].startsWith("a DNS-1035 label must")', true],
  ['format.qualifiedName().validate("a b/").value()[0].startsWith("prefix part a lowercase")', true],
  ['format.labelValue().validate("a b").value()[0].startsWith("a valid label must be")', true],
  ['format.uri().validate("a b").value()', ['parse "a b": invalid URI for request']],
  ['format.uri().validate("").value()', ['parse "": empty url']],
  ['format.uri().validate("/a").hasValue()', false],
  ['format.uri().validate("a/b").hasValue()', true],
  ['format.uuid().validate("x").value()', ['does not match the UUID format']],
  ['format.byte().validate("x!").value()', ['invalid base64']],
  ['format.date().validate("x").value()', ['invalid date']],
  ['format.datetime().validate("x").value()', ['invalid datetime']],
  ['format.datetime().validate("2021-01-01T00:00:00Z").hasValue()', false],
  ['format.named("nope").hasValue()', false],
  ['format.named("dns1123Label").value() == format.dns1123Label()', true],
  ['["a"].map(format, format.upperAscii())', ['A']],
  ['"%s".format(["x"])', 'x'],
  ['isSemver("1.2.3-alpha.1+b") && !isSemver("v1.2") && !isSemver("") && !isSemver("1.2.3-01")', true],
  ['isSemver("01.02.03")', false],
  ['isSemver("v1.2", true) && isSemver("1", true) && isSemver("01.02.03", true)', true],
  ['isSemver("v1.2.3-alpha", true) && !isSemver("1-alpha", true)', true],
  ['semver("1.2.3").isLessThan(semver("1.2.4"))', true],
  ['semver("1.2.3").isGreaterThan(semver("1.2.3-1"))', true],
  ['semver("1.2.3") == semver("1.2.3+x")', true],
  ['semver("1.2.3-2").compareTo(semver("1.2.3-10"))', -1],
  ['semver("1.2.3-a.b").compareTo(semver("1.2.3-a"))', 1],
  ['semver("1.2.3-9").compareTo(semver("1.2.3-a"))', -1],
  ['[semver("10.2.3").major(), semver("10.2.3").minor(), semver("10.2.3").patch()]', [10, 2, 3]],
  ['semver("v1", true).major()', 1],
  ['semver("01.2.3").major()', 'error: not a semantic version: "01.2.3"'],
  ['quantity("2").compareTo(quantity("1"))', 1],
  ['self.namespace + self.package', 'nsx'],
  ['namespace', expect.stringContaining('reserved identifier: namespace')],
];

describe('libraries of Kubernetes', () => {
  it.each(CASES)('%s', (expression, value) => {
    expect(evaluate(expression)).toEqual(value);
  });
});

describe('the authorizer in expressions', () => {
  const asked: CelAccess[] = [];
  const variables = authorizerVariables(
    (access) => {
      asked.push(access);
      return { allowed: access.verb === 'get', reason: access.verb === 'get' ? 'because' : '' };
    },
    { group: 'apps', resource: 'deployments', namespace: 'default', name: 'web' },
  );

  it.each<readonly [expression: string, value: unknown, access: CelAccess]>([
    ['authorizer.path("/healthz").check("get").allowed()', true, { path: '/healthz', verb: 'get' }],
    [
      'authorizer.group("apps").resource("deployments").subresource("scale").namespace("a").name("b").check("update").allowed()',
      false,
      {
        group: 'apps',
        resource: 'deployments',
        subresource: 'scale',
        namespace: 'a',
        name: 'b',
        verb: 'update',
      },
    ],
    [
      'authorizer.requestResource.check("get").reason()',
      'because',
      { group: 'apps', resource: 'deployments', namespace: 'default', name: 'web', verb: 'get' },
    ],
    [
      'authorizer.serviceAccount("ns", "sa").path("/a").check("get").errored()',
      false,
      { serviceAccount: { namespace: 'ns', name: 'sa' }, path: '/a', verb: 'get' },
    ],
    [
      'authorizer.group("").resource("pods").fieldSelector("a=b").labelSelector("c").check("list").error()',
      '',
      { group: '', resource: 'pods', fieldSelector: 'a=b', labelSelector: 'c', verb: 'list' },
    ],
  ])('%s', (expression, value, access) => {
    asked.length = 0;
    expect(evaluate(expression, variables)).toBe(value);
    expect(asked).toEqual([access]);
  });

  it.each([
    ['authorizer.serviceAccount("a b", "x")', 'error: Invalid service account namespace'],
    ['authorizer.serviceAccount("a", "x y")', 'error: Invalid service account name'],
    [
      'authorizer.group("x").check("get")',
      'error: no such overload: expected kubernetes.authorization.PathCheck or kubernetes.authorization.ResourceCheck, got kubernetes.authorization.GroupCheck',
    ],
    [
      '[1, 2, 3, 4, 5, 6].map(a, [1, 2, 3, 4, 5, 6].map(b, authorizer.path("/").check("get")))',
      expect.stringContaining('cost limit'),
    ],
  ])('%s: %s', (expression, message) => {
    expect(evaluate(expression, variables)).toEqual(message);
  });
});
